import { accept, type Decision } from '@perdure/kernel';
import type { ChildRequestedEntry, RunEvent, RunRejection } from '@perdure/run-contract';
import { closing, isUnknownAgent } from '../closing';
import { ensuing } from '../lifecycle/ensuing';
import { callConflict, notYet } from '../rejection';
import type { DecidedCommand, EndChild, Identities, NoteChildStarted } from '../run.commands';
import type { OpenRun } from '../run.state';

type RunDecision = Decision<RunEvent, RunRejection>;
type Given<C> = DecidedCommand & { readonly command: C };

/** A worker that hosts it may register its build soon. */
const AGAIN_MS = 1_000;

export function childRequested(entry: ChildRequestedEntry, run: OpenRun, childRun: Identities['childRun']): RunDecision {
  const { type: _entry, ...asked } = entry;
  if (run.calls.has(asked.call)) return callConflict(asked.call);
  return accept<RunEvent>({ type: 'ChildRequested', data: { ...asked, child: childRun(run.branch, asked.call) } });
}

/** From the keeper of the promise; of a child that nobody waits for any more it says nothing new. */
export function decideEndChild({ command, at, code }: Given<EndChild>, run: OpenRun): RunDecision {
  const { call, child, outcome, spent } = command;
  if (!isOpenChild(run, command)) return accept();
  const ended: RunEvent = { type: 'ChildEnded', data: { call, child, outcome, ...(spent === undefined ? {} : { spent }) } };
  if (isUnknownAgent(run, code)) return notYet('UnknownAgent', 'What an agent does next is decided with its code.', AGAIN_MS);
  return accept(...ensuing(run, closing(run, code, [ended]), at.nowMs));
}

export function decideChildStarted({ command, at }: Given<NoteChildStarted>, run: OpenRun): RunDecision {
  const { call, child } = command;
  if (!isOpenChild(run, command)) return accept();
  return accept(...ensuing(run, [{ type: 'ChildStarted', data: { call, child } }], at.nowMs));
}

function isOpenChild({ calls }: OpenRun, { call, child }: EndChild | NoteChildStarted): boolean {
  const open = calls.get(call);
  return open?.kind === 'child' && open.child === child;
}
