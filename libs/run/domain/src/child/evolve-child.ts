import type { Outcome, RunEvent, RunEventOf, RunEventType } from '@perdure/run-contract';
import { closeCall, impossible, openCall, withItem } from '../evolve-calls';
import { addSpending } from '../guard/run.guard';
import type { OpenChild, OpenRun } from '../run.state';

const TYPES = ['ChildRequested', 'ChildStarted', 'ChildEnded'] as const satisfies readonly RunEventType[];
export type ChildEventType = (typeof TYPES)[number];

export function isOfChild(event: RunEvent): event is RunEventOf<ChildEventType> {
  return (TYPES as readonly string[]).includes(event.type);
}

export function evolveChild(run: OpenRun, event: RunEventOf<ChildEventType>, timeMs: number): OpenRun {
  switch (event.type) {
    case 'ChildRequested':
      return requested(run, event, timeMs);
    case 'ChildStarted':
      return answered(run, event, { ok: true, value: { runId: event.data.child } });
    case 'ChildEnded': {
      const { outcome, spent } = event.data;
      const next = answered(run, event, outcome);
      return spent === undefined ? next : { ...next, spentByChildren: addSpending(next.spentByChildren, spent) };
    }
  }
}

function requested(run: OpenRun, { data }: RunEventOf<'ChildRequested'>, sinceMs: number): OpenRun {
  const { call, name, detached, ...order } = data;
  const child: OpenChild = { kind: 'child', ...order, call, name, isDetached: detached === true, sinceMs };
  const next = openCall(run, child);
  return order.asTool === undefined ? withItem(next, { type: 'made', call, kind: 'child', name }) : next;
}

function answered(run: OpenRun, event: RunEventOf<'ChildStarted' | 'ChildEnded'>, outcome: Outcome): OpenRun {
  const { call, child } = event.data;
  const open = run.calls.get(call);
  if (open?.kind !== 'child' || open.child !== child) throw impossible(run, event);
  const arrived = { revision: run.revision, call, outcome, kind: 'child' as const, name: open.name };
  const told = { ...closeCall(run, call), inbound: [...run.inbound, arrived] };
  return open.asTool === undefined ? told : withItem(told, { type: 'tool-result', call, ...open.asTool, outcome });
}
