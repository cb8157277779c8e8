import type { CommandEnvelope, RunAddress, RunCommandOf } from '@perdure/run-contract';
import { isOpen, openTask, type AnswerTask, type DelegateTask, type RunState } from '@perdure/run-domain';
import type { Approvals, InputValidator } from './ports';

/** What the owner looks up for a person who answers what a run asks, before it judges. */
export interface TaskPorts {
  readonly approvals: Approvals;
  readonly validator: InputValidator;
}

/** Told to one who has filled in a form; more would not be read. */
const ISSUES_SHOWN = 50;

export async function spokenBy(
  { approvals, validator }: TaskPorts,
  { tenant }: RunAddress,
  said: {
    readonly envelope: Pick<CommandEnvelope, 'actor'>;
    readonly command: RunCommandOf<'AnswerTask' | 'DelegateTask'>;
    readonly state: RunState;
  },
): Promise<AnswerTask | DelegateTask> {
  const { envelope, command, state } = said;
  const by = envelope.actor.id;
  const { approvers } = approvals.recent(tenant) ?? (await approvals.of(tenant));
  const who = { by, roles: approvers.get(by)?.roles ?? [] };
  if (command.type === 'DelegateTask') return { ...command, ...who };
  const answer = command.answer ?? null;
  const task = isOpen(state) ? openTask(state, command.call)?.task : undefined;
  const issues = task === undefined ? [] : validator.issues(task.terms.form, answer, 'answer').slice(0, ISSUES_SHOWN);
  return { ...command, answer, ...who, checked: { asked: task?.asked, issues } };
}
