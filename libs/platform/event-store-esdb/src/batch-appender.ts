import type { EventStoreDBClient } from '@eventstore/db-client';
import { AppendRefused, type AppendResult, type ExpectedRevision, type Host, StoreUnavailable } from '@perdure/kernel';
import { openAppendCall, type AppendCall } from './server-calls';
import { type AppendMessage, isEventId } from './append-request';
import type { ClientPool } from './client-pool';
import { accessDenied, failureOf, isUnreachable } from './failures';
import { type AppendAnswer, type AppendError, decodeAppendAnswer } from './append-answer';

// All appends go over one call.
//
// 1. Every append ends: with an answer, or with an error when the call fails or the deadline passes.
// 2. StoreUnavailable says nothing about the append: it may have happened.
// 3. A call that answered nothing for a whole deadline is dropped together with its connection.

const SWEEP_MS = 250;
const UNANSWERED_BYTES_MAX = 64 * 1024 * 1024;
/** Above what any server accepts, and it would end the call that all appends share. */
const MESSAGE_BYTES_MAX = 15 * 1024 * 1024;
const INVALID_ARGUMENT = 3;
const PERMISSION_DENIED = 7;

interface Pending {
  readonly resolve: (result: AppendResult) => void;
  readonly reject: (error: Error) => void;
  readonly deadlineAtMs: number;
  readonly bytes: number;
}

export interface BatchAppenderOptions<Event> {
  readonly pool: ClientPool;
  readonly host: Pick<Host, 'timers' | 'clock'>;
  readonly deadlineMs: number;
  readonly encode: (message: AppendMessage<Event>) => Buffer;
}

export class BatchAppender<Event extends { readonly id: string }> {
  private readonly pending = new Map<number, Pending>();
  private sequence = 0;
  private call: AppendCall | undefined;
  private client: EventStoreDBClient | undefined;
  private unsent: Buffer[] = [];
  private unansweredBytes = 0;
  private answeredAtMs = 0;
  private isSweeping = false;
  private isClosed = false;

  constructor(private readonly options: BatchAppenderOptions<Event>) {}

  append(stream: string, expected: ExpectedRevision, events: readonly Event[]): Promise<AppendResult> {
    const { deadlineMs, host, encode } = this.options;
    if (this.isClosed) return Promise.reject(new StoreUnavailable('The event store client is closed.'));
    if (this.unansweredBytes > UNANSWERED_BYTES_MAX) {
      return Promise.reject(new StoreUnavailable('Too many appends wait for the event store; nothing was sent.'));
    }
    for (const { id } of events) {
      if (!isEventId(id)) return Promise.reject(new AppendRefused(`The event id ${JSON.stringify(id)} is not a UUID.`));
    }
    this.sequence += 1;
    const { sequence } = this;
    const message = encode({ sequence, stream, expected, events, timeoutMs: deadlineMs });
    if (message.length > MESSAGE_BYTES_MAX)
      return Promise.reject(new AppendRefused(`The append has ${message.length} bytes; no event store accepts that.`));
    return new Promise((resolve, reject) => {
      const deadlineAtMs = host.clock.monotonicMs() + deadlineMs;
      this.pending.set(sequence, { resolve, reject, deadlineAtMs, bytes: message.length });
      this.unansweredBytes += message.length;
      this.send(message);
      this.sweepLater();
    });
  }

  close(): void {
    this.isClosed = true;
    this.fail(new Error('The event store client is closed.'));
  }

  private send(message: Buffer): void {
    if (this.call !== undefined) {
      this.call.write(message);
      return;
    }
    this.unsent.push(message);
    if (this.client === undefined) this.open();
  }

  private open(): void {
    const client = this.options.pool.appendClient;
    this.client = client;
    this.answeredAtMs = this.options.host.clock.monotonicMs();
    const isCurrent = (): boolean => this.client === client;
    openAppendCall(client).then(
      (call) => {
        this.listen(call, () => this.call === call);
        if (!isCurrent()) {
          call.cancel();
          return;
        }
        this.call = call;
        const { unsent } = this;
        this.unsent = [];
        for (const message of unsent) call.write(message);
      },
      (error: unknown) => {
        if (isCurrent()) this.fail(error);
      },
    );
  }

  /** The listeners outlive the call's use: a late error without one would end the process. */
  private listen(call: AppendCall, isCurrent: () => boolean): void {
    const lost = (error: unknown): void => {
      if (isCurrent()) this.fail(error);
    };
    call.on('error', lost);
    call.on('end', () => lost(new Error('The server ended the call.')));
    call.on('close', () => lost(new Error('The call was closed.')));
    call.on('data', (bytes) => {
      if (!isCurrent()) return;
      try {
        this.settle(decodeAppendAnswer(bytes));
      } catch (error) {
        this.fail(error);
      }
    });
  }

  private settle(answer: AppendAnswer): void {
    this.answeredAtMs = this.options.host.clock.monotonicMs();
    const pending = this.pending.get(answer.sequence);
    if (pending === undefined) return;
    this.pending.delete(answer.sequence);
    this.unansweredBytes -= pending.bytes;
    if (answer.error === undefined) {
      pending.resolve({ outcome: 'appended', revision: answer.revision, position: answer.position });
      return;
    }
    const refusal = refusalOf(answer.error);
    if (refusal instanceof Error) pending.reject(refusal);
    else pending.resolve(refusal);
  }

  /** Nothing more is to be expected from this call. */
  private fail(error: unknown): void {
    const { call, client } = this;
    this.call = undefined;
    this.client = undefined;
    this.unsent = [];
    this.unansweredBytes = 0;
    const unanswered = [...this.pending.values()];
    this.pending.clear();
    call?.cancel();
    if (client !== undefined && isUnreachable(error)) this.options.pool.discard(client);
    const failure = failureOf(error);
    for (const { reject } of unanswered) reject(failure);
  }

  private sweepLater(): void {
    if (this.isSweeping) return;
    this.isSweeping = true;
    this.options.host.timers.after(SWEEP_MS, () => {
      this.isSweeping = false;
      this.sweep();
      if (this.pending.size > 0) this.sweepLater();
    });
  }

  private sweep(): void {
    const nowMs = this.options.host.clock.monotonicMs();
    const { deadlineMs, pool } = this.options;
    for (const [sequence, pending] of this.pending) {
      // Oldest first, and all have the same time.
      if (pending.deadlineAtMs > nowMs) return;
      if (nowMs - this.answeredAtMs >= deadlineMs) {
        if (this.client !== undefined) pool.discard(this.client);
        this.fail(new Error(`no answer within ${deadlineMs} ms`));
        return;
      }
      this.pending.delete(sequence);
      this.unansweredBytes -= pending.bytes;
      pending.reject(failureOf(new Error(`no answer within ${deadlineMs} ms`)));
    }
  }
}

function refusalOf(error: AppendError): AppendResult | Error {
  if (error.detail === 'WrongExpectedVersion') {
    return { outcome: 'wrong-revision', actual: error.current < 0 ? 'no-stream' : error.current };
  }
  if (error.detail === 'StreamDeleted') return { outcome: 'stream-deleted' };
  if (error.detail === 'MaximumAppendSizeExceeded')
    return new AppendRefused('The append is larger than the event store accepts.');
  if (error.code === PERMISSION_DENIED || error.detail === 'AccessDenied')
    return accessDenied(new Error(error.message || error.detail));
  if (error.code === INVALID_ARGUMENT || error.detail === 'BadRequest') {
    return new AppendRefused(`The event store refuses the append: ${error.message || error.detail}`);
  }
  return failureOf(new Error(error.message || error.detail));
}
