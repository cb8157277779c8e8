import { ASK_NAME } from '@perdure/kernel';
import type { Outcome, RunEvent, RunEventOf, RunEventType } from '@perdure/run-contract';
import { TASKS_REMEMBERED } from '../bounds';
import { rememberCommand } from '../command-memory';
import { closeCall, impossible, openCall, with_, withItem } from '../evolve-calls';
import type { OpenCall, OpenRun } from '../run.state';
import type { ClosedTask, RunTask } from './task.state';

const TYPES = [
  'TaskAsked',
  'TaskAnswered',
  'TaskDelegated',
  'TaskReminded',
  'TaskEscalated',
  'TaskExpired',
] as const satisfies readonly RunEventType[];
export type TaskEventType = (typeof TYPES)[number];

type Waiting = Extract<OpenCall, { kind: 'wait' }> & { readonly task: RunTask };

export function isOfTaskFact(event: RunEvent): event is RunEventOf<TaskEventType> {
  return (TYPES as readonly string[]).includes(event.type);
}

export function openTask(run: OpenRun, call: string): Waiting | undefined {
  const open = run.calls.get(call);
  return open?.kind === 'wait' && open.task !== undefined ? { ...open, task: open.task } : undefined;
}

export function evolveTask(run: OpenRun, event: RunEventOf<TaskEventType>): OpenRun {
  if (event.type === 'TaskAsked') return asked(run, event.data);
  const open = openTask(run, event.data.call);
  if (open === undefined) throw impossible(run, event);
  switch (event.type) {
    case 'TaskAnswered': {
      const { by, answer, answerHash: hash, commandId } = event.data;
      return ended(rememberCommand(run, commandId), open, { answered: { by, hash }, outcome: { ok: true, value: answer } });
    }
    case 'TaskDelegated': {
      const delegated = { ...open, task: { ...open.task, delegated: event.data } };
      return rememberCommand({ ...run, calls: with_(run.calls, open.call, delegated) }, event.data.commandId);
    }
    case 'TaskReminded':
      return run;
    case 'TaskEscalated':
      return {
        ...run,
        calls: with_(run.calls, open.call, { ...open, task: { ...open.task, escalatedTo: event.data.to } }),
      };
    case 'TaskExpired':
      return ended(run, open, { outcome: expiredWith(open, event.data) });
  }
}

function asked(run: OpenRun, terms: RunEventOf<'TaskAsked'>['data']): OpenRun {
  const { call, askedAtMs: sinceMs, asTool } = terms;
  const task = { asked: run.revision, terms };
  const next = openCall(run, { kind: 'wait', call, signal: ASK_NAME, sinceMs, task });
  return asTool === undefined ? withItem(next, { type: 'made', call, kind: 'wait', name: ASK_NAME }) : next;
}

function expiredWith({ task: { terms } }: Waiting, { action, answer }: RunEventOf<'TaskExpired'>['data']): Outcome {
  if (action !== 'fail') return { ok: true, value: action === 'answer' ? answer : null };
  const message = `Nobody has answered "${terms.title}" in the time that there was.`;
  return { ok: false, error: { code: 'TaskExpired', message, reaction: 'terminal' } };
}

interface End extends Pick<ClosedTask, 'answered'> {
  readonly outcome: Outcome;
}

function ended(run: OpenRun, { call, task }: Waiting, { outcome, ...how }: End): OpenRun {
  const tasksClosed = [...run.tasksClosed, { call, asked: task.asked, ...how }].slice(-TASKS_REMEMBERED);
  const arrived = { revision: run.revision, call, outcome, kind: 'wait' as const, name: ASK_NAME };
  const told = { ...closeCall(run, call), tasksClosed, inbound: [...run.inbound, arrived] };
  const { asTool } = task.terms;
  return asTool === undefined ? told : withItem(told, { type: 'tool-result', call, ...asTool, outcome });
}
