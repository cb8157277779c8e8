import type { RunEvent, RunEventOf, RunEventType, ShownSignal } from '@perdure/run-contract';
import { rememberCommand } from '../command-memory';
import { closeCall, impossible, openCall, withItem } from '../evolve-calls';
import type { OpenCall, OpenRun } from '../run.state';

/**
 * What is sent to a run, and who reads it.
 *
 * 1. A signal is read once: by the oldest wait for its name, or by the next turn of an agent.
 * 2. Signals of one name are read in the order in which they came.
 */
const TYPES = ['SignalReceived', 'SignalAwaited'] as const satisfies readonly RunEventType[];
export type SignalEventType = (typeof TYPES)[number];

export function isOfSignal(event: RunEvent): event is RunEventOf<SignalEventType> {
  return (TYPES as readonly string[]).includes(event.type);
}

export function evolveSignal(run: OpenRun, event: RunEventOf<SignalEventType>, timeMs: number): OpenRun {
  return event.type === 'SignalReceived' ? signalReceived(run, event) : signalAwaited(run, event, timeMs);
}

type Wait = Extract<OpenCall, { kind: 'wait' }>;

export function oldestWait(run: OpenRun, name: string): Wait | undefined {
  for (const call of run.calls.values()) if (call.kind === 'wait' && call.signal === name) return call;
  return undefined;
}

export function unreadFor(run: OpenRun, name: string): ShownSignal | undefined {
  return run.signals.find((signal) => signal.name === name);
}

function signalReceived(run: OpenRun, event: RunEventOf<'SignalReceived'>): OpenRun {
  const { name, payload, commandId, from } = event.data;
  const sender = from === undefined ? {} : { from };
  const known = rememberCommand(run, commandId);
  const waiting = oldestWait(known, name);
  if (waiting !== undefined) return answered(known, waiting, { timedOut: false, payload, ...sender });
  return { ...known, signals: [...known.signals, { revision: run.revision, name, payload, ...sender }] };
}

function signalAwaited(run: OpenRun, event: RunEventOf<'SignalAwaited'>, sinceMs: number): OpenRun {
  const { call, name } = event.data;
  const wait: Wait = { kind: 'wait', call, signal: name, sinceMs };
  const waiting = withItem(openCall(run, wait), { type: 'made', call, kind: 'wait', name });
  const unread = unreadFor(run, name);
  if (unread === undefined) return waiting;
  const signals = run.signals.filter((signal) => signal !== unread);
  return answered({ ...waiting, signals }, wait, {
    timedOut: false,
    payload: unread.payload,
    ...(unread.from === undefined ? {} : { from: unread.from }),
  });
}

export function waitTimedOut(run: OpenRun, event: RunEventOf<'TimerFired'>, call: string): OpenRun {
  const open = run.calls.get(call);
  if (open?.kind !== 'wait') throw impossible(run, event);
  return answered(run, open, { timedOut: true });
}

/** The model is shown them with its next turn, and every later one. */
export function shownToModel(run: OpenRun, call: string, signals: readonly ShownSignal[]): OpenRun {
  const items = signals.map((signal) => ({ type: 'signalled' as const, call, ...signal }));
  return { ...items.reduce(withItem, run), signals: run.signals.slice(signals.length) };
}

function answered(run: OpenRun, { call, signal }: Wait, value: unknown): OpenRun {
  const arrived = { revision: run.revision, call, outcome: { ok: true as const, value }, kind: 'wait' as const, name: signal };
  return { ...closeCall(run, call), inbound: [...run.inbound, arrived] };
}
