import { accept, CALLBACK_PREFIX, type Decision } from '@perdure/kernel';
import type { ProgressEntry, RunCommandOf, RunEvent, RunRejection } from '@perdure/run-contract';
import { SIGNAL_RETRY_MS, SIGNALS_UNREAD_MAX } from '../bounds';
import { recallCommand } from '../command-memory';
import { oldestWait, unreadFor } from './evolve-signal';
import { callConflict, commandExpired, notYet, refusal } from '../rejection';
import type { DecidedCommand } from '../run.commands';
import { woken, type OpenRun } from '../run.state';

type RunDecision = Decision<RunEvent, RunRejection>;

/** The timer of a wait: a name of its own beside the calls of the code. */
export function waitTimer(call: string): string {
  return `wait-${call}`;
}

export function decideSignal(
  { command, at }: DecidedCommand & { readonly command: RunCommandOf<'SignalRun'> },
  run: OpenRun,
): RunDecision {
  const memory = recallCommand(run, at.commandId);
  if (memory === 'repeated') return accept();
  if (memory === 'expired') return commandExpired();
  if (run.ending !== undefined)
    return refusal(
      'RunAlreadyEnded',
      'How the run ends is decided, and its effects are being undone: nobody reads a signal any more.',
    );
  const { name, payload, from } = command;
  const sender = from === undefined ? {} : { from };
  const data = { name, payload: payload ?? null, commandId: at.commandId, ...sender };
  const received: RunEvent = { type: 'SignalReceived', data };
  const waiting = oldestWait(run, name);
  if (waiting !== undefined) {
    const limit = [...run.timers.values()].find(({ purpose, call }) => purpose === 'wait' && call === waiting.call);
    const cancelled: readonly RunEvent[] =
      limit === undefined ? [] : [{ type: 'TimerCancelled', data: { timerId: limit.timerId } }];
    return accept(received, ...cancelled, ...(run.status === 'suspended' ? [woken(run)] : []));
  }
  if (name.startsWith(CALLBACK_PREFIX))
    return refusal('CallbackClosed', 'Nobody waits for this callback any more: it was answered before, or its time is over.');
  if (run.signals.length < SIGNALS_UNREAD_MAX) return accept(received);
  const message = `The run keeps ${SIGNALS_UNREAD_MAX} signals that nobody has read, and takes no more. Send it again when it has read some.`;
  return notYet('TooManySignals', message, SIGNAL_RETRY_MS);
}

export function signalAwaited(
  entry: Extract<ProgressEntry, { type: 'signal-awaited' }>,
  run: OpenRun,
  nowMs: number,
): RunDecision {
  const { call, name, timeoutMs } = entry;
  if (run.calls.has(call)) return callConflict(call);
  if (timeoutMs === undefined || unreadFor(run, name) !== undefined)
    return accept<RunEvent>({ type: 'SignalAwaited', data: { call, name } });
  const dueAtMs = nowMs + timeoutMs;
  return accept<RunEvent>(
    { type: 'SignalAwaited', data: { call, name, dueAtMs } },
    { type: 'TimerSet', data: { timerId: waitTimer(call), purpose: 'wait', call, dueAtMs } },
  );
}
