import { accept, type Decision } from '@perdure/kernel';
import type { RunEvent, RunEventOf, RunRejection, TaskAskedEntry } from '@perdure/run-contract';
import { closing, isUnknownAgent } from '../closing';
import { recallCommand } from '../command-memory';
import { ensuing } from '../lifecycle/ensuing';
import { callConflict, commandExpired, notYet, refusal } from '../rejection';
import type { AnswerTask, DecidedCommand, DelegateTask, Identities } from '../run.commands';
import type { EndedRun, OpenRun, OpenTimer } from '../run.state';
import { openTask } from './evolve-task';
import { asking } from './asking';
import { answerersOf, isOfTask, type ClosedTask, type RunTask } from './task.state';

/**
 * What a run asks of persons.
 *
 * 1. One answer is taken, of the form that was asked for, of somebody who may answer at that moment.
 * 2. Whoever says again what it has said is told that all is well; what comes late for other reasons is refused, with the reason.
 * 3. Reminders, escalations and the end are timers of the run, and end with it.
 */
type RunDecision = Decision<RunEvent, RunRejection>;
type Given<C> = DecidedCommand & { readonly command: C };
type Hash = Pick<Identities, 'hash'>;

/** A worker that hosts the agent may register its build soon. */
const AGAIN_MS = 1_000;

export function taskAsked({ type: _, ...entry }: TaskAskedEntry, run: OpenRun, nowMs: number): RunDecision {
  if (run.calls.has(entry.call)) return callConflict(entry.call);
  return accept(...asking(run, entry, { nowMs }));
}

export function decideTask({ command, hash, ...given }: Given<Spoken> & Hash, run: OpenRun): RunDecision {
  return command.type === 'AnswerTask'
    ? decideAnswer({ command, hash, ...given }, run)
    : decideDelegate({ command, ...given }, run);
}

function decideAnswer({ command, at, code, hash }: Given<AnswerTask> & Hash, run: OpenRun): RunDecision {
  const { call, answer, by } = command;
  const memory = recallCommand(run, at.commandId);
  if (memory === 'repeated' || isSaidAgain(command, run.tasksClosed, hash)) return accept();
  if (memory === 'expired') return commandExpired();
  const found = whatIsAsked(command, run);
  if ('rejected' in found) return found;
  const { task } = found;
  if (!mayAnswer(task, command)) return notYours(command, task);
  // Looked at for what was asked before: it is looked at again.
  if (command.checked.asked !== task.asked) return notYet('OtherTask', 'Something else is asked by now.', 0);
  if (command.checked.issues.length > 0) return invalidAnswer(command, task);
  if (isUnknownAgent(run, code)) return unknownAgent();
  const answered: RunEvent = {
    type: 'TaskAnswered',
    data: { call, by, answer, answerHash: hash(answer), commandId: at.commandId },
  };
  return accept(...ensuing(run, closing(run, code, [answered, ...withoutTimers(run, call)]), at.nowMs));
}

function decideDelegate({ command, at }: Given<DelegateTask>, run: OpenRun): RunDecision {
  const { call, to, by, reason } = command;
  const memory = recallCommand(run, at.commandId);
  if (memory === 'repeated') return accept();
  if (memory === 'expired') return commandExpired();
  const found = whatIsAsked(command, run);
  if ('rejected' in found) return found;
  if (!mayAnswer(found.task, command)) return notYours(command, found.task);
  const said = reason === undefined ? {} : { reason };
  return accept<RunEvent>({ type: 'TaskDelegated', data: { call, to, by, ...said, commandId: at.commandId } });
}

/** After the end of the run nobody is asked any more: whoever comes late is told what became of it. */
export function decideTaskOfEnded({ command, hash }: Given<Spoken> & Hash, run: EndedRun): RunDecision {
  if (command.type === 'AnswerTask' && isSaidAgain(command, run.tasksClosed, hash)) return accept();
  const closed = closedOf(command, run.tasksClosed);
  if (closed !== undefined) return taskClosed(closed);
  const message = `Thank you, but the run has ended (${run.outcome.status}): nobody waits for this any more.`;
  return refusal('RunAlreadyEnded', message, { details: { call: command.call, outcome: run.outcome.status } });
}

/** A timer of what is asked has come due. */
export function taskTimerFired({ at, code }: DecidedCommand, run: OpenRun, timer: OpenTimer): RunDecision {
  const fired: RunEvent = { type: 'TimerFired', data: { timerId: timer.timerId, dueAtMs: timer.dueAtMs } };
  const open = timer.call === undefined ? undefined : openTask(run, timer.call);
  if (open === undefined) return accept(fired);
  const { call, task } = open;
  const { title, escalate, expires } = task.terms;
  if (timer.purpose === 'task-reminder')
    return accept<RunEvent>(fired, { type: 'TaskReminded', data: { call, title, to: answerersOf(task) } });
  if (timer.purpose === 'task-escalation') {
    const step = escalate[Number(timer.timerId.slice(timer.timerId.lastIndexOf('e') + 1)) - 1];
    return step === undefined
      ? accept(fired)
      : accept<RunEvent>(fired, { type: 'TaskEscalated', data: { call, title, to: step.to } });
  }
  if (isUnknownAgent(run, code)) return unknownAgent();
  const { atMs: _, ...onExpiry } = expires ?? { atMs: 0, action: 'fail' as const };
  const expired: RunEvent = { type: 'TaskExpired', data: { call, ...onExpiry } };
  const rest = withoutTimers(run, call).filter(({ data }) => data.timerId !== timer.timerId);
  return accept(...ensuing(run, closing(run, code, [fired, expired, ...rest]), at.nowMs));
}

function withoutTimers(run: OpenRun, call: string): readonly RunEventOf<'TimerCancelled'>[] {
  return [...run.timers.values()]
    .filter((timer) => timer.call === call && isOfTask(timer))
    .map(({ timerId }) => ({ type: 'TimerCancelled', data: { timerId } }));
}

type Spoken = AnswerTask | DelegateTask;

function whatIsAsked(command: Spoken, run: OpenRun): { readonly task: RunTask } | { readonly rejected: RunRejection } {
  const { call, asked } = command;
  if (run.ending !== undefined)
    return refusal('RunAlreadyEnded', 'Thank you, but how the run ends is decided already: nobody waits for this any more.');
  const task = openTask(run, call)?.task;
  if (task !== undefined && (asked === undefined || asked === task.asked)) return { task };
  const closed = closedOf(command, run.tasksClosed);
  if (closed !== undefined) return taskClosed(closed);
  if (task === undefined)
    return refusal('NoSuchTask', `Nobody is asked anything by the call ${call}. What waits is at /v1/tasks.`);
  return refusal('OtherTask', 'The run has gone back, and asks for something else by now. Look at it again.');
}

function closedOf({ call, asked }: Spoken, tasks: readonly ClosedTask[]): ClosedTask | undefined {
  return tasks.findLast((known) => known.call === call && (asked === undefined || known.asked === asked));
}

function isSaidAgain(command: AnswerTask, tasks: readonly ClosedTask[], hash: Hash['hash']): boolean {
  const answered = closedOf(command, tasks)?.answered;
  return answered !== undefined && answered.by === command.by && answered.hash === hash(command.answer);
}

function taskClosed({ call, answered }: ClosedTask): RunDecision & { readonly rejected: RunRejection } {
  const message =
    answered === undefined
      ? 'Thank you, but the time for this is over: the run has gone on without an answer.'
      : `Thank you, but ${answered.by} has answered this already, and the run has gone on.`;
  const how = answered === undefined ? { how: 'expired' } : { how: 'answered', by: answered.by };
  return refusal('TaskClosed', message, { details: { call, ...how } });
}

function mayAnswer(task: RunTask, { by, roles }: Spoken): boolean {
  return answerersOf(task).some((who) => who === `user:${by}` || roles.some((role) => who === `role:${role}`));
}

function notYours({ call, by }: Spoken, task: RunTask): RunDecision {
  const who = answerersOf(task);
  const message = `${by} is not asked: ${who.join(' or ')} may answer, or hand it on to you (perdure task delegate).`;
  return refusal('NotYourTask', message, { details: { call, mayAnswer: who } });
}

function invalidAnswer({ call, checked: { issues } }: AnswerTask, { terms }: RunTask): RunDecision {
  const message = `The answer does not fit the form of "${terms.title}": ${issues.join('; ')}.`;
  return refusal('InvalidAnswer', message, { details: { call, issues } });
}

function unknownAgent(): RunDecision {
  return notYet('UnknownAgent', 'What an agent does next is decided with its code: start a worker that hosts it.', AGAIN_MS);
}
