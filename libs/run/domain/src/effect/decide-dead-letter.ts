import { accept, type Decision } from '@perdure/kernel';
import type { RunEvent, RunEventOf, RunRejection } from '@perdure/run-contract';
import { closing, isUnknownAgent, rousing } from '../closing';
import { recallCommand } from '../command-memory';
import { exhaustedError } from './exhaustion';
import { commandExpired, refusal } from '../rejection';
import type { DeadLetterCommand, DecidedCommand } from '../run.commands';
import type { OpenRun } from '../run.state';

/** What a person may do about the effects of which the attempts are exhausted. */
type RunDecision = Decision<RunEvent, RunRejection>;

export function decideDeadLetter(
  { command, at, code }: DecidedCommand & { readonly command: DeadLetterCommand },
  run: OpenRun,
): RunDecision {
  const memory = recallCommand(run, at.commandId);
  if (memory === 'repeated') return accept();
  if (memory === 'expired') return commandExpired();
  const { call, by, reason } = command;
  if (by.kind !== 'user') return refusal('OnlyAPersonMay', `A ${by.kind} may not decide about dead letters; a user does.`);
  const open = run.calls.get(call);
  if (open?.kind !== 'tool' || open.deadLetter === undefined) return notThere(run, call);
  const said = { by: `${by.kind}:${by.id}`, ...(reason === undefined ? {} : { reason }), commandId: at.commandId };
  if (command.type === 'RedriveEffect')
    return accept(...rousing(run, [{ type: 'EffectRedriven', data: { call, attempt: open.attempt + 1, ...said } }]));
  if (isUnknownAgent(run, code))
    return refusal('UnknownAgent', `No registered build hosts ${run.request.name}: start a worker that does, then say it again.`);
  const { attempt } = open;
  const error = exhaustedError(open, 'given-up');
  const failed: RunEventOf<'EffectFailed'> = {
    type: 'EffectFailed',
    data: { call, attempt, error, exhausted: 'given-up' },
  };
  return accept(...rousing(run, closing(run, code, [{ type: 'EffectGivenUp', data: { call, attempt, ...said } }, failed])));
}

function notThere(run: OpenRun, call: string): RunDecision {
  const open = run.calls.get(call);
  const stands =
    open?.kind !== 'tool'
      ? 'it was never intended, or it has ended'
      : open.execution?.stage === 'in-question'
        ? 'nobody knows whether it happened, so say that first: perdure effects resolve'
        : 'its attempts are not exhausted';
  return refusal('EffectNotDeadLettered', `The effect ${call} is not among the dead letters: ${stands}.`, { details: { call } });
}
