import { inboxRequest, inboxSubject, type InboxRequest } from '@perdure/approval-contract';
import {
  errorRecordOf,
  PerdureError,
  Retryable,
  Terminal,
  type Bus,
  type BusMessage,
  type Host,
  type Subscription,
} from '@perdure/kernel';
import type { ApprovalReader } from './approval-reader';
import type { TaskReader } from './task-reader';
import { addressOf } from './run-requests';

/** A question is small. */
const REQUEST_BYTES_MAX = 4_096;
/** Beyond it callers are asked to come back: who asks for one approval has the log read. */
const REQUESTS_MAX = 64;
const BUSY_RETRY_MS = 200;
/** Several gateways share the work. */
const QUEUE = 'approval-inbox';

/** Tells those who speak over the bus what waits for persons. */
export class InboxDesk {
  private listening: Subscription | undefined;
  private underWay = 0;

  constructor(
    private readonly ports: {
      readonly bus: Pick<Bus, 'subscribe'>;
      readonly host: Pick<Host, 'log'>;
      readonly approvals: ApprovalReader;
      readonly tasks: TaskReader;
    },
  ) {}

  start(): void {
    this.listening = this.ports.bus.subscribe(inboxSubject.all, (message) => void this.onRequest(message), { queue: QUEUE });
  }

  async stop(): Promise<void> {
    await this.listening?.close();
  }

  private async onRequest(message: BusMessage): Promise<void> {
    this.underWay += 1;
    try {
      if (this.underWay > REQUESTS_MAX)
        throw new Retryable('Overloaded', 'The gateway is busy. Try again a little later.', { retryAfterMs: BUSY_RETRY_MS });
      const value = await this.perform(inboxSubject.parse(message.subject), parse(message.payload));
      message.respond(JSON.stringify({ ok: true, value }));
    } catch (error) {
      if (!(error instanceof PerdureError))
        this.ports.host.log.error('a question about what waits for persons failed', { reason: String(error) });
      message.respond(JSON.stringify({ ok: false, error: errorRecordOf(error) }));
    } finally {
      this.underWay -= 1;
    }
  }

  private async perform(tenant: string, { command }: InboxRequest): Promise<unknown> {
    const { approvals, tasks } = this.ports;
    if (command.type === 'GetTask') return tasks.get(addressOf(tenant, command.runId), command.call);
    if (command.type === 'ListTasks') return tasks.complete().page({ ...command, tenant });
    if (command.type === 'GetApproval') return approvals.get(addressOf(tenant, command.runId), command.call);
    const { type: _, ...query } = command;
    return approvals.complete().list({ tenant, ...query });
  }
}

/** @throws Terminal `MalformedRequest` */
function parse(text: string): InboxRequest {
  const parsed = text.length > REQUEST_BYTES_MAX ? undefined : inboxRequest.safeParse(jsonOf(text));
  if (parsed?.success === true) return parsed.data;
  throw new Terminal(
    'MalformedRequest',
    'The request is too large, or does not have its shape: see InboxRequest in the reference.',
  );
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
