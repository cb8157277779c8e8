import type { RecordedEvent } from '@perdure/kernel';
import {
  requestSubject,
  runAddress,
  runStream,
  TERMINAL_EVENT_TYPES,
  type Answer,
  type CommandEnvelope,
} from '@perdure/run-contract';
import type { Exchange, Simulation } from '@perdure/testing';
import type { LogView } from './log-view';

/** I1, at the moment when an answer leaves: what it says has its facts in the log already. */
export function checkAnswers(simulation: Simulation, log: LogView): (exchange: Exchange) => void {
  return ({ subject, request, reply, responder }) => {
    const [root, kind, tenant, context, runId] = subject.split('.');
    if (root !== 'perdure' || kind !== 'req' || context !== 'run' || tenant === undefined || runId === undefined) return;
    const address = runAddress(tenant, runId);
    if (requestSubject.build(address) !== subject) return;
    const answer = JSON.parse(reply) as Answer;
    if (!answer.ok) return;
    const { command } = JSON.parse(request) as CommandEnvelope;
    const missing = missingFact(command, log.of(runStream.build(address)));
    if (missing !== undefined) simulation.violate('I1', `${responder.name} accepted ${command.type} of ${runId}, and ${missing}`);
  };
}

const SAID = { AnswerTask: 'TaskAnswered', DelegateTask: 'TaskDelegated' } as const;
const DECIDED = { RedriveEffect: 'EffectRedriven', GiveUpEffect: 'EffectGivenUp' } as const;

function missingFact(command: CommandEnvelope['command'], facts: readonly RecordedEvent[]): string | undefined {
  const has = (type: string, matches: (data: Readonly<Record<string, unknown>>) => boolean = () => true): boolean =>
    facts.some((fact) => fact.type === type && matches(fact.data as Readonly<Record<string, unknown>>));
  const hasEnded = TERMINAL_EVENT_TYPES.some((type) => has(type));
  switch (command.type) {
    case 'StartRun':
      return has('RunRequested') ? undefined : 'the log has no such run';
    case 'CancelRun':
      return has('RunCancelRequested') || has('RunEnding') || hasEnded ? undefined : 'no fact says that it was asked for';
    case 'RepinRun': {
      const { buildId } = command;
      const says = (data: Readonly<Record<string, unknown>>): boolean => data['buildId'] === buildId;
      return has('RunRepinned', says) || has('RunAssigned', says) ? undefined : `no fact pins it to ${buildId}`;
    }
    case 'PauseRun':
      return has('RunPauseRequested') || has('CodeDiverged') || has('RunQuarantined') || hasEnded
        ? undefined
        : 'no fact says that it was to pause';
    case 'SignalRun':
      return hasEnded || has('SignalReceived', ({ name }) => name === command.name) ? undefined : 'no fact says that it came';
    case 'AnswerTask':
    case 'DelegateTask':
      return hasEnded || has(SAID[command.type], ({ call }) => call === command.call) ? undefined : 'no fact says what was said';
    case 'TerminateRun':
      return hasEnded ? undefined : 'it has not ended';
    case 'ResolveEffect':
      return hasEnded || has('EffectReconciled', ({ call }) => call === command.call)
        ? undefined
        : 'no fact says what became of the effect';
    case 'ClaimEffect':
      return has('EffectDispatched', ({ executionId }) => executionId === command.executionId)
        ? undefined
        : `no fact says that ${command.executionId} may begin`;
    case 'RecordVote':
      return hasEnded || has('ApprovalVoted') || has('ApprovalDenied') ? undefined : 'no fact says what was decided';
    case 'RecordRefusal':
      return has('ApprovalRefused') ? undefined : 'no fact says what was tried';
    case 'RedriveEffect':
    case 'GiveUpEffect':
      return hasEnded || has(DECIDED[command.type], ({ call }) => call === command.call)
        ? undefined
        : 'no fact says what was decided';
    case 'ReleaseRun':
      return has('RunAssigned', ({ permitId }) => permitId === command.permitId) ? undefined : 'no assignment holds its permit';
    case 'RecordProgress': {
      const isReported = (fact: RecordedEvent): boolean => {
        const { report } = fact.metadata as { report?: { epoch: number; seq: number } };
        return report?.epoch === command.epoch && report.seq === command.seq;
      };
      return command.entries.length === 0 || facts.some(isReported)
        ? undefined
        : `no fact is of epoch ${command.epoch}, report ${command.seq}`;
    }
    case 'FireTimer':
      return hasEnded ? undefined : openTimer(command.timerId, has);
    case 'RewindRun':
      return has('RunRewound') ? undefined : 'no fact says that it went back';
    // Nobody in a story forks.
    case 'ForkRun':
    case 'ReportEffect':
    case 'RefuseRun':
    case 'ResumeRun':
    case 'GetRun':
    case 'GetState':
    case 'AwaitRun':
    case 'GetModelCalls':
    case 'GetJournal':
      return undefined;
  }
}

function openTimer(
  timerId: string,
  has: (type: string, matches: (data: Readonly<Record<string, unknown>>) => boolean) => boolean,
): string | undefined {
  const isTimer = (data: Readonly<Record<string, unknown>>): boolean => data['timerId'] === timerId;
  const isOver = has('TimerFired', isTimer) || has('TimerCancelled', isTimer);
  return isOver || !has('TimerSet', isTimer) ? undefined : `the timer ${timerId} is still open`;
}
