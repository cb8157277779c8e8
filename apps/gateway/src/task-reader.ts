import type { Task, TaskPage } from '@perdure/approval-contract';
import { Retryable, Terminal } from '@perdure/kernel';
import type { RunAddress, RunEventOf } from '@perdure/run-contract';
import type { FactReader } from './fact-stream';
import type { TaskInbox, TaskQuery } from './task-inbox';

const INCOMPLETE_RETRY_MS = 200;

/** What persons are asked, by whatever way one wants to know it. */
export class TaskReader {
  constructor(
    private readonly inbox: TaskInbox,
    private readonly facts: Pick<FactReader, 'page'>,
  ) {}

  get isComplete(): boolean {
    return this.inbox.isComplete;
  }

  page(query: TaskQuery): TaskPage {
    return this.inbox.page(query);
  }

  /** @throws Terminal `NoSuchTask`; Retryable `InboxIncomplete` */
  async get(address: RunAddress, call: string): Promise<Task> {
    const line = this.inbox.find({ ...address, call }) ?? this.complete().inbox.find({ ...address, call });
    if (line === undefined)
      throw new Terminal('NoSuchTask', `Nobody is asked anything by ${call} of the run ${address.runId}. See /v1/tasks.`);
    const { facts } = await this.facts.page(address, { from: line.asked, limit: 1 });
    const { description, form = {} } = (facts[0]?.data ?? {}) as Partial<RunEventOf<'TaskAsked'>['data']>;
    return { ...line, ...(description === undefined ? {} : { description }), form };
  }

  /** @throws Retryable `InboxIncomplete`: what there is of it is not the list of what waits */
  complete(): this {
    if (this.isComplete) return this;
    throw new Retryable('InboxIncomplete', 'The gateway is still reading the log after its start. Ask again.', {
      retryAfterMs: INCOMPLETE_RETRY_MS,
    });
  }
}
