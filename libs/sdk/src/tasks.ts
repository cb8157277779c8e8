import {
  inboxSubject,
  task as taskSchema,
  taskPage,
  type Task,
  type TaskPage,
  type TaskStatus,
} from '@perdure/approval-contract';
import { token, type Bus, type Host, type Token } from '@perdure/kernel';
import { requestSubject, runAddress, type CommandEnvelopeInput } from '@perdure/run-contract';
import { ask } from './engine/ask';
import type { Assignee } from './engine/asking';
import { serialise } from './engine/outcome';

export interface TasksWanted {
  /** By default `open`: what waits. */
  readonly status?: TaskStatus | 'all';
  /** Only what one of these may answer. */
  readonly assignee?: Assignee | readonly Assignee[];
  /** The `next` of the page before. */
  readonly after?: string;
  readonly limit?: number;
}

/** Which one; with `asked`, as `get` and `list` tell it, only if nothing else is asked by now. */
export interface TaskNamed {
  readonly runId: string;
  readonly call: string;
  readonly asked?: number;
}

const INBOX_TIMEOUT_MS = 2_000;
const OWNER_TIMEOUT_MS = 2_000;

/** What runs ask of persons, and what these persons say. */
export class Tasks {
  constructor(
    private readonly ports: { readonly bus: Bus; readonly host: Host },
    private readonly options: { readonly tenant: Token; readonly by: string; readonly patienceMs: number },
  ) {}

  /** What has waited for longest first. @throws Retryable `InboxIncomplete` while a gateway reads the log after its start */
  async list({ status = 'open', assignee, after, limit }: TasksWanted = {}): Promise<TaskPage> {
    const command = {
      type: 'ListTasks' as const,
      ...(status === 'all' ? {} : { status }),
      ...(assignee === undefined ? {} : { assignee: [assignee].flat().join(',') }),
      ...(after === undefined ? {} : { after }),
      ...(limit === undefined ? {} : { limit }),
    };
    return taskPage.parse(await this.ask(inboxSubject.build(this.options.tenant), { v: 1, command }, INBOX_TIMEOUT_MS));
  }

  /** With the form of its answer. @throws Terminal `NoSuchTask` */
  async get(runId: string, call: string): Promise<Task> {
    const command = { type: 'GetTask' as const, runId: token(runId, 'run id'), call };
    return taskSchema.parse(await this.ask(inboxSubject.build(this.options.tenant), { v: 1, command }, INBOX_TIMEOUT_MS));
  }

  /**
   * The run goes on with it. `by`: the person, else whom the client speaks for. The same answer of the same person again changes nothing.
   * @throws Terminal `InvalidAnswer` whose details name each `issue`; `NotYourTask`, `TaskClosed`, `NoSuchTask`, `OtherTask`, `RunAlreadyEnded`
   */
  async answer(task: TaskNamed, answer: unknown, { by = this.options.by }: { readonly by?: string } = {}): Promise<void> {
    const { value } = serialise(answer, 'The answer');
    await this.say(by, task, { type: 'AnswerTask', ...named(task), answer: value });
  }

  /** Lets somebody else answer as well. @throws as `answer` */
  async delegate(
    task: TaskNamed,
    { to, by = this.options.by, reason }: { readonly to: Assignee; readonly by?: string; readonly reason?: string },
  ): Promise<void> {
    const said = reason === undefined ? {} : { reason };
    await this.say(by, task, { type: 'DelegateTask', ...named(task), to, ...said });
  }

  private async say(by: string, { runId }: TaskNamed, command: CommandEnvelopeInput['command']): Promise<void> {
    const actor = { kind: 'user' as const, id: token(by, 'person') };
    const envelope: CommandEnvelopeInput = { v: 1, id: this.ports.host.entropy.uuid(), actor, command };
    await this.ask(requestSubject.build(runAddress(this.options.tenant, runId)), envelope, OWNER_TIMEOUT_MS);
  }

  private ask(subject: string, request: object, timeoutMs: number): Promise<unknown> {
    const untilMs = this.ports.host.clock.monotonicMs() + this.options.patienceMs;
    return ask(this.ports, { subject, payload: JSON.stringify(request), timeoutMs, untilMs });
  }
}

function named({ call, asked }: TaskNamed): { readonly call: string; readonly asked?: number } {
  return asked === undefined ? { call } : { call, asked };
}
