import type { EndingOutcome, RunEvent, RunEventOf } from '@perdure/run-contract';
import type { RetryPolicy, ToolManifest } from '@perdure/tenant-contract';
import { NOT_UNDONE_WHY_MAX, UNDO_MS_MAX, UNDO_RETRY } from '../bounds';
import { evolve } from '../run.evolve';
import { isStillAsked } from './evolve-undo';
import { hasWork, inDoubt, isOpen, woken, type OpenRun, type OpenTool, type RunState } from '../run.state';
import { effectsLeft, type Ending, type UndoEntry } from './undo-ledger';

/**
 * A run that fails, is cancelled or times out undoes its confirmed effects before it ends.
 *
 * 1. Its end is decided once; from then on nothing begins but what undoes its effects, and none of its code is run.
 * 2. Newest first, one at a time, each as an effect of its own that is durable like any other; confirmed at most once.
 * 3. The fact of the end names what is undone, what is not and why, what stays, and what nobody knows of.
 */
type EndingEvent = RunEventOf<'RunFailed' | 'RunCancelled' | 'RunTimedOut'>;
type LastEvent = EndingEvent | RunEventOf<'RunTerminated'>;

/** What a decision becomes, with what it means for the effects of the run. */
export function undoing(run: RunState, events: readonly RunEvent[], nowMs: number): readonly RunEvent[] {
  if (!isOpen(run) || (run.ending === undefined && !events.some(isLast))) return events;
  const all: RunEvent[] = [];
  let state: RunState = run;
  for (const event of events) {
    const mark = event.report === undefined ? {} : { report: event.report };
    const add = (added: readonly RunEvent[]): void => {
      for (const one of added) {
        all.push({ ...one, ...mark });
        state = evolve(state, { ...one, ...mark, atMs: nowMs });
      }
    };
    const before: RunState = state;
    add(isOpen(before) && isLast(event) ? instead(before, event, nowMs) : [event]);
    if (isOpen(before)) add(whatBecame(before, event));
    add(following(state, nowMs));
  }
  return isOpen(state) && state.status === 'suspended' && hasWork(state) ? [...all, woken(state)] : all;
}

function isLast(event: RunEvent): event is LastEvent {
  const { type } = event;
  return type === 'RunFailed' || type === 'RunCancelled' || type === 'RunTimedOut' || type === 'RunTerminated';
}

function instead(run: OpenRun, event: LastEvent, nowMs: number): readonly RunEvent[] {
  if (event.type === 'RunTerminated') return [named(run, event, 'the run was terminated first')];
  const mayUndo = run.undo.entries.length > 0 || [...run.calls.values()].some(isStillAsked);
  if (run.ending !== undefined) return [named(run, event, 'the time for undoing was over')];
  return mayUndo ? beginning(run, event, nowMs) : [named(run, event, '')];
}

function named<E extends LastEvent>(run: OpenRun, event: E, why: string): E {
  const { undo: ledger, ending } = run;
  const effects = effectsLeft({ ledger, ending, unknown: inDoubt(run), why });
  return effects === undefined ? event : { ...event, data: { ...event.data, effects } };
}

function beginning(run: OpenRun, event: EndingEvent, nowMs: number): readonly RunEvent[] {
  const undoByMs = nowMs + UNDO_MS_MAX;
  const cancelled = [...run.timers.values()]
    .filter(({ call, purpose }) => purpose !== 'probe' || call === undefined || !isKept(run, call))
    .map(({ timerId }): RunEvent => ({ type: 'TimerCancelled', data: { timerId } }));
  return [
    ...cancelled,
    {
      type: 'RunEnding',
      data: { outcome: outcomeOf(event), toUndo: run.undo.entries.length, endingAtMs: nowMs, undoByMs },
    },
    { type: 'TimerSet', data: { timerId: 'undo', purpose: 'undo', dueAtMs: undoByMs } },
  ];
}

function isKept(run: OpenRun, call: string): boolean {
  const open = run.calls.get(call);
  return open !== undefined && isStillAsked(open);
}

function outcomeOf(event: EndingEvent): EndingOutcome {
  switch (event.type) {
    case 'RunFailed':
      return { status: 'failed', error: event.data.error };
    case 'RunCancelled':
      return { status: 'cancelled', reason: event.data.reason };
    case 'RunTimedOut':
      return { status: 'timed-out', deadlineAtMs: event.data.deadlineAtMs };
  }
}

/** The end of an effect that undoes another. */
function whatBecame(run: OpenRun, event: RunEvent): readonly RunEvent[] {
  if (event.type !== 'EffectConfirmed' && event.type !== 'EffectFailed') return [];
  const open = run.calls.get(event.data.call);
  if (open?.kind !== 'tool' || open.undoes === undefined) return [];
  const { undoes: call, tool } = open;
  if (event.type === 'EffectConfirmed') return [{ type: 'EffectCompensated', data: { call, tool, undo: open.call } }];
  const { error, retryAtMs } = event.data;
  const why = `${error.code}: ${error.message}`.slice(0, NOT_UNDONE_WHY_MAX);
  return retryAtMs === undefined ? [{ type: 'EffectNotCompensated', data: { call, tool, why } }] : [];
}

/** The next effect to undo; the end, when there is none and nothing is to be found out any more. */
function following(state: RunState, nowMs: number): readonly RunEvent[] {
  if (!isOpen(state) || state.ending === undefined) return [];
  if ([...state.calls.values()].some((call) => call.kind === 'tool' && call.undoes !== undefined)) return [];
  const entry = state.undo.entries.at(-1);
  if (entry !== undefined) return [intention(entry, nowMs)];
  return state.calls.size === 0 ? [named(state, lastOf(state.ending, nowMs), '')] : [];
}

function intention({ call: undoes, tool, effectClass, args, argsHash }: UndoEntry, intendedAtMs: number): RunEvent {
  return {
    type: 'EffectIntended',
    data: { call: `undo-${undoes}`, tool, effectClass, args, argsHash, intendedAtMs, undoes },
  };
}

/** The fact that was decided when the run began to end. */
export function lastOf({ outcome }: Ending, endedAtMs: number): EndingEvent {
  switch (outcome.status) {
    case 'failed':
      return { type: 'RunFailed', data: { error: outcome.error, endedAtMs } };
    case 'cancelled':
      return { type: 'RunCancelled', data: { reason: outcome.reason, endedAtMs } };
    case 'timed-out':
      return { type: 'RunTimedOut', data: { deadlineAtMs: outcome.deadlineAtMs, endedAtMs } };
  }
}

export function entryOf(run: OpenRun, open: OpenTool): UndoEntry | undefined {
  return open.undoes === undefined ? undefined : run.undo.entries.find(({ call }) => call === open.undoes);
}

/** How what undoes is run: as its tool declares, or patiently. */
export function undoLimits(run: OpenRun, open: OpenTool, manifest: ToolManifest | undefined) {
  const declared = entryOf(run, open)?.by.kind === 'tool' ? manifest?.compensation : undefined;
  const retry: RetryPolicy = declared?.retry ?? UNDO_RETRY;
  return { retry, timeoutMs: declared?.timeoutMs, isDeclared: declared !== undefined };
}
