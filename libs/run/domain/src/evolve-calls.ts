import { InvariantViolated } from '@perdure/kernel';
import type { JournalItem, RunEvent } from '@perdure/run-contract';
import { appendItem } from './run.journal';
import type { OpenCall, OpenRun, RunState } from './run.state';

/** What facts do to the calls and the journal of a run. */

export function withItem(run: OpenRun, item: JournalItem): OpenRun {
  return { ...run, journal: appendItem(run.journal, item) };
}

export function openCall(run: OpenRun, call: OpenCall): OpenRun {
  if (run.calls.has(call.call)) throw new InvariantViolated(`The call ${call.call} was intended twice.`, { call: call.call });
  return { ...run, calls: with_(run.calls, call.call, call) };
}

export function closeCall(run: OpenRun, call: string): OpenRun {
  return { ...run, calls: without(run.calls, call) };
}

export function knownCall(run: OpenRun, call: string, event: RunEvent): OpenCall {
  const open = run.calls.get(call);
  if (open === undefined) throw impossible(run, event);
  return open;
}

export function with_<V>(map: ReadonlyMap<string, V>, key: string, value: V): ReadonlyMap<string, V> {
  return new Map(map).set(key, value);
}

export function without<V>(map: ReadonlyMap<string, V>, key: string): ReadonlyMap<string, V> {
  if (!map.has(key)) return map;
  const next = new Map(map);
  next.delete(key);
  return next;
}

export function impossible(state: RunState, event: RunEvent): InvariantViolated {
  return new InvariantViolated(`${event.type} cannot follow revision ${state.revision} of a run that is ${state.status}.`, {
    eventType: event.type,
    revision: state.revision,
    status: state.status,
  });
}
