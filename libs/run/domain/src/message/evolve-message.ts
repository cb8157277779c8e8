import type { Outcome, RunEvent, RunEventOf, RunEventType } from '@perdure/run-contract';
import { closeCall, impossible, openCall, withItem } from '../evolve-calls';
import type { OpenMessage, OpenRun } from '../run.state';

const TYPES = ['MessageSent', 'MessageDelivered', 'MessageRefused'] as const satisfies readonly RunEventType[];
export type MessageEventType = (typeof TYPES)[number];

export function isOfMessage(event: RunEvent): event is RunEventOf<MessageEventType> {
  return (TYPES as readonly string[]).includes(event.type);
}

export function evolveMessage(run: OpenRun, event: RunEventOf<MessageEventType>, timeMs: number): OpenRun {
  switch (event.type) {
    case 'MessageSent':
      return sent(run, event, timeMs);
    case 'MessageDelivered':
      return answered(run, event, { ok: true, value: null });
    case 'MessageRefused':
      return answered(run, event, { ok: false, error: event.data.error });
  }
}

function sent(run: OpenRun, { data }: RunEventOf<'MessageSent'>, sinceMs: number): OpenRun {
  const message: OpenMessage = { kind: 'message', ...data, sinceMs };
  return withItem(openCall(run, message), { type: 'made', call: data.call, kind: 'message', name: data.name });
}

function answered(run: OpenRun, event: RunEventOf<'MessageDelivered' | 'MessageRefused'>, outcome: Outcome): OpenRun {
  const { call } = event.data;
  const open = run.calls.get(call);
  if (open?.kind !== 'message') throw impossible(run, event);
  const arrived = { revision: run.revision, call, outcome, kind: 'message' as const, name: open.name };
  return { ...closeCall(run, call), inbound: [...run.inbound, arrived] };
}
