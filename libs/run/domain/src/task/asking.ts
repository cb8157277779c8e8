import type { RunEvent, RunEventOf, TaskTerms, ToolCall } from '@perdure/run-contract';
import type { AskTool } from '@perdure/tenant-contract';
import { callOfTimer, type OpenRun } from '../run.state';
import { isOfTask, type RunTask } from './task.state';

export interface AskedHow {
  readonly nowMs: number;
  readonly asTool?: { readonly tool: string; readonly toolCallId: string };
}

/** The fact that asks, and the timers that keep what it promises. */
export function asking(
  run: OpenRun,
  terms: TaskTerms & { readonly call: string },
  { nowMs, asTool }: AskedHow,
): readonly RunEvent[] {
  const { call, title, description, form, assignee, dueMs, remindMs = [], escalate = [], expires } = terms;
  const { afterMs = 0, ...onExpiry } = expires ?? {};
  const asked: RunEventOf<'TaskAsked'>['data'] = {
    call,
    name: run.request.name,
    title,
    ...(description === undefined ? {} : { description }),
    form,
    assignee,
    askedAtMs: nowMs,
    ...(dueMs === undefined ? {} : { dueAtMs: nowMs + dueMs }),
    remindAtMs: remindMs.map((ms) => nowMs + ms),
    escalate: escalate.map((step) => ({ atMs: nowMs + step.afterMs, to: step.to })),
    ...(expires === undefined ? {} : { expires: { atMs: nowMs + afterMs, ...(onExpiry as typeof expires) } }),
    ...(asTool === undefined ? {} : { asTool }),
  };
  return [{ type: 'TaskAsked', data: asked }, ...timersOf(asked)];
}

function timersOf({ call, remindAtMs, escalate, expires }: RunEventOf<'TaskAsked'>['data']): readonly RunEvent[] {
  const timer = (id: string, purpose: RunEventOf<'TimerSet'>['data']['purpose'], dueAtMs: number): RunEvent => ({
    type: 'TimerSet',
    data: { timerId: `task-${call}-${id}`, purpose, call, dueAtMs },
  });
  return [
    ...remindAtMs.map((atMs, index) => timer(`r${index + 1}`, 'task-reminder', atMs)),
    ...escalate.map(({ atMs }, index) => timer(`e${index + 1}`, 'task-escalation', atMs)),
    ...(expires === undefined ? [] : [timer('expiry', 'task-expiry', expires.atMs)]),
  ];
}

/** Asked anew, of the same persons and for the time that is left, where a copy of the run or an earlier state of it goes on. */
export function askedAgain(run: OpenRun, { terms, delegated, escalatedTo: to }: RunTask): readonly RunEvent[] {
  const { call, title } = terms;
  const left = [...run.timers.values()].filter((timer) => timer.call === call && isOfTask(timer));
  return [
    { type: 'TaskAsked', data: terms },
    ...(delegated === undefined ? [] : [{ type: 'TaskDelegated' as const, data: delegated }]),
    ...(to === undefined ? [] : [{ type: 'TaskEscalated' as const, data: { call, title, to } }]),
    ...left.map(({ timerId, purpose, dueAtMs }): RunEvent => ({
      type: 'TimerSet',
      data: { timerId: callOfTimer(run, timerId), purpose, call, dueAtMs },
    })),
  ];
}

/** As the contract has them. */
const TITLE_MAX = 200;
const DESCRIPTION_MAX = 10_000;

/** The model asks a person: what it says is the question, and all else its author has said. */
export function askingFor(
  { run, call, of }: { readonly run: OpenRun; readonly call: string; readonly of: AskTool },
  { tool, toolCallId, args }: ToolCall,
  nowMs: number,
): readonly RunEvent[] {
  const { title, description } = (args ?? {}) as { readonly title?: unknown; readonly description?: unknown };
  const question = typeof title === 'string' && title !== '' ? title : (JSON.stringify(args) ?? tool);
  const more = typeof description === 'string' ? { description: description.slice(0, DESCRIPTION_MAX) } : {};
  const terms = { ...of, call, title: question.slice(0, TITLE_MAX), ...more };
  return asking(run, terms as TaskTerms & { readonly call: string }, { nowMs, asTool: { tool, toolCallId } });
}
