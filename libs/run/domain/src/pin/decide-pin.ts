import { accept, type Decision } from '@perdure/kernel';
import type { RunCommandOf, RunEvent, RunRejection } from '@perdure/run-contract';
import { recallCommand } from '../command-memory';
import { commandExpired, refusal } from '../rejection';
import type { DecidedCommand, KnownCode } from '../run.commands';
import type { OpenRun } from '../run.state';

type RunDecision = Decision<RunEvent, RunRejection>;

/** Whether a worker of the build may go on with the run: of the build that it is pinned to, or of one that says it may. */
export function fitsPin(run: Pick<OpenRun, 'pin'>, buildId: string, code: KnownCode): boolean {
  return run.pin === undefined || run.pin === buildId || code.compatibleWith?.includes(run.pin) === true;
}

export function wrongBuild(run: OpenRun, buildId: string): RunDecision {
  return refusal(
    'WrongBuild',
    `The run is pinned to the build ${run.pin}; ${buildId} is another. Give it a worker of its build, or pin it anew.`,
    { details: { buildId: run.pin } },
  );
}

/** The code in the command is that of the build that is asked for. */
export function decideRepin(
  { command, at, code }: DecidedCommand & { readonly command: RunCommandOf<'RepinRun'> },
  run: OpenRun,
): RunDecision {
  const memory = recallCommand(run, at.commandId);
  if (memory === 'repeated') return accept();
  if (memory === 'expired') return commandExpired();
  const { buildId, reason } = command;
  if (run.request.kind === 'agent' && run.pin === undefined) {
    return refusal('NotPinned', 'An agent is not pinned: it goes on from where it stands with whatever build has room for it.');
  }
  if (code.behaviour?.kind !== run.request.kind) {
    const message = `No build ${buildId} that hosts the ${run.request.kind} ${run.request.name} is registered. See \`perdure builds list\`, or start a worker of it first.`;
    return refusal('UnknownBuild', message, { details: { buildId } });
  }
  return run.pin === buildId
    ? accept()
    : accept<RunEvent>({ type: 'RunRepinned', data: { buildId, reason, commandId: at.commandId } });
}
