import { accept, type Decision } from '@perdure/kernel';
import type { MessageSentEntry, RunEvent, RunRejection } from '@perdure/run-contract';
import { ensuing } from '../lifecycle/ensuing';
import { callConflict } from '../rejection';
import type { DecidedCommand, Identities, NoteMessage } from '../run.commands';
import type { OpenRun } from '../run.state';

type RunDecision = Decision<RunEvent, RunRejection>;

export function messageSent(
  { call, to, name, payload }: MessageSentEntry,
  run: OpenRun,
  { at, messageId }: Pick<DecidedCommand, 'at'> & Pick<Identities, 'messageId'>,
): RunDecision {
  if (run.calls.has(call)) return callConflict(call);
  const sent = { call, to, name, payload: payload ?? null, messageId: messageId(run.branch, call, at.nowMs) };
  return accept<RunEvent>({ type: 'MessageSent', data: sent });
}

/** From the keeper of the promise; of a message that was answered before it says nothing new. */
export function decideNoteMessage(
  { command, at }: DecidedCommand & { readonly command: NoteMessage },
  run: OpenRun,
): RunDecision {
  const { call, messageId, error } = command;
  const open = run.calls.get(call);
  if (open?.kind !== 'message' || open.messageId !== messageId) return accept();
  const answered: RunEvent =
    error === undefined ? { type: 'MessageDelivered', data: { call } } : { type: 'MessageRefused', data: { call, error } };
  return accept(...ensuing(run, [answered], at.nowMs));
}
