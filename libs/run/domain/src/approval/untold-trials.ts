import { APPROVAL_REFUSALS_KEPT } from '../bounds';
import { isOpen, type OpenCall, type RunState } from '../run.state';

/**
 * How many of these claims and results tried to get around an approval, where the log of the run tells no more of that. What was
 * granted has begun, and what was let begin has ended: the others are open, and nothing of them is under way.
 */
export function untoldTrials(entries: readonly { readonly type: string; readonly call?: string }[], state: RunState): number {
  if (!isOpen(state) || state.refusals.length < APPROVAL_REFUSALS_KEPT) return 0;
  const isTrial = ({ type, call = '' }: { readonly type: string; readonly call?: string }): boolean =>
    (type === 'effect-claimed' || type === 'effect-result') && isUntouched(state.calls.get(call));
  return entries.filter(isTrial).length;
}

function isUntouched(open: OpenCall | undefined): boolean {
  return open?.kind === 'tool' && open.approval !== undefined && open.execution === undefined && !open.waitsForRetry;
}
