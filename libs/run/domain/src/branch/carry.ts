import type { CarriedState, JournalItem, RunEvent, ShownSignal } from '@perdure/run-contract';
import { waitTimer } from '../signal/decide-signal';
import { tailItems } from '../run.journal';
import { askedAnew } from '../approval/request-approval';
import type { AskedApprovals, EndedEffects } from '../run.commands';
import { mayHaveHappened, type OpenCall, type OpenChild, type OpenRun, type OpenTool, type RunState } from '../run.state';
import { askedAgain } from '../task/asking';
import { evolve } from '../run.evolve';

/**
 * What of a past state goes on: in a copy of the run, or in the run itself after a rewind.
 *
 * 1. What the code, or the conversation, was given is carried as it is.
 * 2. What had arrived for it and was not given yet is given first.
 * 3. What was open is opened anew by facts of its own, so that its keepers learn of it as of anything.
 */
export interface Past {
  /** Its journal is whole: no segment of it is sealed. */
  readonly run: OpenRun;
  /** How calls that were open ended later: they are not opened again. */
  readonly outcomes: EndedEffects;
  /** Sent later, and not to be lost. */
  readonly sentSince: readonly ShownSignal[];
  readonly approvals: AskedApprovals;
}

export function carriedFrom({ run, outcomes, sentSince }: Past): CarriedState {
  const items = tailItems(run.journal);
  // A model that had not answered is asked again, and shown the same again.
  const unanswered = new Set([...run.calls.values()].flatMap(({ kind, call }) => (kind === 'model' ? [call] : [])));
  const isLeftOut = (item: JournalItem): boolean =>
    (item.type === 'made' && run.calls.has(item.call) && !outcomes.has(item.call)) ||
    (item.type === 'signalled' && unanswered.has(item.call));
  const shown = items.flatMap((item) =>
    item.type === 'signalled' && unanswered.has(item.call)
      ? [{ revision: item.revision, name: item.name, payload: item.payload }]
      : [],
  );
  const journal = [...items.filter((item) => !isLeftOut(item)), ...arrived(run), ...endedSince(run, outcomes)];
  return { turn: decidedTurn(journal), journal, signals: [...shown, ...run.signals, ...sentSince] };
}

/** An agent has it in its conversation already. */
function arrived({ request, inbound }: OpenRun): readonly JournalItem[] {
  if (request.kind === 'agent') return [];
  return inbound.map(({ call, kind, name, outcome }) => ({ type: 'got', call, kind, name, outcome }));
}

function endedSince({ request, calls }: OpenRun, outcomes: EndedEffects): readonly JournalItem[] {
  return [...outcomes].flatMap(([call, { outcome, ...edited }]): readonly JournalItem[] => {
    const open = calls.get(call);
    if (open?.kind !== 'tool') return [];
    const { tool, toolCallId = call } = open;
    return request.kind === 'agent'
      ? [{ type: 'tool-result', call, toolCallId, tool, outcome, ...edited }]
      : [{ type: 'got', call, kind: 'tool', name: tool, outcome }];
  });
}

function decidedTurn(journal: readonly JournalItem[]): number {
  return journal.reduce((turn, item) => (item.type === 'decided' ? Math.max(turn, Number(item.call.slice(1))) : turn), 0);
}

interface Reopening {
  readonly nowMs: number;
  readonly asFork: boolean;
  hash(value: unknown): string;
  /** Of the branch that goes on. */
  childRun(call: string): string;
  messageId(call: string, nowMs: number): string;
}

/** Opens again what was open. `after` is the run that goes on, before these facts. */
export function reopened(past: Past, after: RunState, given: Reopening): RunEvent[] {
  const events: RunEvent[] = [];
  let state = after;
  const add = (...added: readonly RunEvent[]): void => {
    events.push(...added);
    state = added.reduce(evolve, state);
  };
  for (const call of past.run.calls.values()) {
    if (past.outcomes.has(call.call)) continue;
    add(...opening(past.run, call, given));
    const asked = past.approvals.get(call.call);
    if (asked !== undefined && call.kind === 'tool') add(...askedAnew({ asked, args: call.args, run: state }, given));
    // A wait that was answered at once needs no limit.
    const limit = call.kind === 'wait' ? timerOf(past.run, call.call) : undefined;
    const isOpen = 'calls' in state && state.calls.has(call.call);
    if (limit !== undefined && isOpen) add(timerSet(waitTimer(call.call), 'wait', { call: call.call, dueAtMs: limit }));
  }
  return events;
}

function opening(run: OpenRun, open: OpenCall, { nowMs, asFork, childRun, messageId }: Reopening): readonly RunEvent[] {
  const { call } = open;
  switch (open.kind) {
    case 'sleep':
      return [timerSet(call, 'sleep', { call, dueAtMs: timerOf(run, call) ?? nowMs })];
    case 'wait': {
      if (open.task !== undefined) return askedAgain(run, open.task);
      const dueAtMs = timerOf(run, call);
      const limit = dueAtMs === undefined ? {} : { dueAtMs };
      return [{ type: 'SignalAwaited', data: { call, name: open.signal, ...limit } }];
    }
    // Of this branch: whether the one before has arrived or not, it is another message.
    case 'message': {
      const { to, name, payload } = open;
      return [{ type: 'MessageSent', data: { call, to, name, payload, messageId: messageId(call, nowMs) } }];
    }
    // Another run than before: what that one does belongs to the source, or to what was cut.
    case 'child':
      return [childRequestedAgain(open, childRun(call))];
    case 'model':
      return run.request.kind === 'agent'
        ? []
        : [{ type: 'ModelCallIntended', data: { call, model: open.model, ...hashOf(run, call) } }];
    case 'tool': {
      const { tool, effectClass, args, argsHash, editedBy } = open;
      const elsewhere = {
        ...(open.pool === undefined ? {} : { pool: open.pool }),
        ...(open.limits === undefined ? {} : { limits: open.limits }),
        ...(open.compensation === undefined ? {} : { compensation: open.compensation }),
        ...(editedBy === undefined ? {} : { editedBy: [...editedBy] }),
      };
      const asked = open.toolCallId === undefined ? {} : { toolCallId: open.toolCallId };
      const intended: RunEvent = {
        type: 'EffectIntended',
        data: { call, tool, effectClass, args, argsHash, ...asked, ...elsewhere, intendedAtMs: nowMs },
      };
      return asFork && effectClass !== 'pure' && mayHaveHappened(open) ? [intended, questionOf(open, nowMs)] : [intended];
    }
  }
}

function childRequestedAgain(open: OpenChild, child: string): RunEvent {
  const { kind: _kind, sinceMs: _since, isDetached, ...order } = open;
  return { type: 'ChildRequested', data: { ...order, child, ...(isDetached ? { detached: true } : {}) } };
}

/** In the source of a fork it may have been begun, under keys of its own: it must not be begun here as well. */
function questionOf(open: OpenTool, nowMs: number): RunEvent {
  const { call, tool, effectClass, args, execution } = open;
  const asked = open.toolCallId === undefined ? {} : { toolCallId: open.toolCallId };
  const why = `It was under way in the run that this one is a copy of, and may have happened there. Look before ${tool} runs again.`;
  return {
    type: 'EffectQuestioned',
    data: {
      call,
      attempt: 1,
      executionId: execution?.executionId ?? 'of-the-source',
      tool,
      effectClass,
      args,
      ...asked,
      startByMs: execution?.startByMs ?? nowMs,
      overByMs: execution?.overByMs ?? nowMs,
      because: 'forked',
      why,
    },
  };
}

function timerSet(timerId: string, purpose: 'sleep' | 'wait', of: { readonly call: string; readonly dueAtMs: number }): RunEvent {
  return { type: 'TimerSet', data: { timerId, purpose, ...of } };
}

function timerOf(run: OpenRun, call: string): number | undefined {
  const isLimit = (purpose: string): boolean => purpose === 'sleep' || purpose === 'wait';
  return [...run.timers.values()].find((timer) => timer.call === call && isLimit(timer.purpose))?.dueAtMs;
}

function hashOf(run: OpenRun, call: string): { readonly promptHash?: string } {
  const made = tailItems(run.journal).find((item) => item.type === 'made' && item.call === call);
  return made?.type === 'made' && made.hash !== undefined ? { promptHash: made.hash } : {};
}
