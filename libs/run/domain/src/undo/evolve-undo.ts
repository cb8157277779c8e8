import { unreachable } from '@perdure/kernel';
import type { RunEvent, RunEventOf, RunEventType } from '@perdure/run-contract';
import { impossible, withItem } from '../evolve-calls';
import { commonFields, inDoubt, nameInRun, type OpenCall, type OpenRun } from '../run.state';
import { withEntry, type Ending } from './undo-ledger';

/** What the facts of undoing change. */
const TYPES = [
  'UndoRegistered',
  'RunEnding',
  'EffectCompensated',
  'EffectNotCompensated',
] as const satisfies readonly RunEventType[];
export type UndoEventType = (typeof TYPES)[number];

export function isOfUndo(event: RunEvent): event is RunEventOf<UndoEventType> {
  return (TYPES as readonly string[]).includes(event.type);
}

export function evolveUndo(run: OpenRun, event: RunEventOf<UndoEventType>): OpenRun {
  switch (event.type) {
    case 'UndoRegistered':
      return registered(run, event);
    case 'RunEnding':
      return ending(run, event);
    case 'EffectCompensated': {
      const { call, tool } = event.data;
      return settledEntry(run, event, (now) => ({ ...now, undone: [...now.undone, { call, what: tool }] }));
    }
    case 'EffectNotCompensated': {
      const { call, tool, why } = event.data;
      return settledEntry(run, event, (now) => ({ ...now, notUndone: [...now.notUndone, { call, what: tool, why }] }));
    }
    default:
      return unreachable(event);
  }
}

function registered(run: OpenRun, event: RunEventOf<'UndoRegistered'>): OpenRun {
  if (run.ending !== undefined) throw impossible(run, event);
  const { call, tool, effectClass, args, argsHash } = event.data;
  const name = nameInRun(run.branch, call);
  const undo = withEntry(run.undo, { call: name, tool, effectClass, args, argsHash, by: { kind: 'code' } });
  return withItem({ ...run, undo }, { type: 'got', call, kind: 'undo', name: tool, outcome: { ok: true, value: null } });
}

/** Whoever holds the run lets go of it: its code has nothing more to say. */
function ending(run: OpenRun, event: RunEventOf<'RunEnding'>): OpenRun {
  if (run.ending !== undefined) throw impossible(run, event);
  const { outcome, undoByMs, endingAtMs } = event.data;
  const kept = new Map([...run.calls].filter(([, call]) => isStillAsked(call)));
  const left = new Map([...run.calls].filter(([, call]) => !isStillAsked(call)));
  const unknown = inDoubt({ ...run, calls: left });
  return {
    ...commonFields(run),
    undo: { ...run.undo, unknown: [] },
    status: 'suspended',
    calls: kept,
    inbound: [],
    signals: [],
    lostInARow: 0,
    cancel: undefined,
    pause: undefined,
    ending: {
      outcome,
      sinceMs: endingAtMs,
      cancelRequested: run.cancel !== undefined,
      undoByMs,
      undone: [],
      notUndone: [],
      unknown,
    },
  };
}

/** Should it have happened, it can be undone: so it is found out first. */
export function isStillAsked(call: OpenCall): boolean {
  return call.kind === 'tool' && call.compensation !== undefined && call.execution !== undefined;
}

function settledEntry(
  run: OpenRun,
  event: RunEventOf<'EffectCompensated' | 'EffectNotCompensated'>,
  change: (ending: Ending) => Ending,
): OpenRun {
  const { call } = event.data;
  const entries = run.undo.entries.filter((entry) => entry.call !== call);
  if (run.ending === undefined || entries.length === run.undo.entries.length) throw impossible(run, event);
  return { ...run, undo: { ...run.undo, entries }, ending: change(run.ending) };
}
