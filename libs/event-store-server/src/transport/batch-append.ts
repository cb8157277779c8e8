import { nameFault } from '../engine/name-length';
import { type AppendTarget, type BatchAppendPart, decodeBatchAppend } from '../wire/requests';
import type { ProposedEvent } from '../wire/recorded-event';
import { type BatchAnswer, type BatchError, batchError, batchSuccess } from '../wire/responses';
import {
  BATCH_TIMEOUT,
  RECEIVED_BYTES_MAX,
  appendBytes,
  batchBadRequest,
  batchErrorOf,
  batchTooLarge,
  receivedBytes,
} from './append-errors';
import { BATCH_ACCESS_DENIED } from './authorization';
import { RECEIVING } from './byte-budget';
import type { CallHandler, GrpcCall } from './grpc-call';
import { Code, GrpcError } from './grpc-status';
import type { StoreService } from './store-service';

// One call carries many appends, each in one or more parts.
//
// 1. Every append gets exactly one answer, with its correlation id and its stream: the official client
//    ends its process on a second one.
// 2. An append that is not answered by its deadline is answered "timeout"; it may still happen.

const WRITE_TIMEOUT_MS = 2000;
const DEADLINE_CHECK_MS = 250;
const PARTS_UNFINISHED_MAX = 1000;

interface PendingAppend {
  readonly target: AppendTarget;
  readonly answer: BatchAnswer;
  readonly deadlineAtMs: number;
  readonly events: ProposedEvent[];
  bytes: number;
  /** Of the messages that the events are views of. */
  receivedBytes: number;
  refusal: BatchError | undefined;
  isAnswered: boolean;
}

export class BatchAppendCall implements CallHandler {
  private readonly unfinished = new Map<string, PendingAppend>();
  private readonly pending = new Set<PendingAppend>();
  private deadlineCheck: NodeJS.Timeout | undefined;
  private hasEnded = false;
  private readonly held = RECEIVING.hold();

  constructor(
    private readonly service: StoreService,
    private readonly call: GrpcCall,
  ) {}

  onMessage(message: Buffer): void {
    const part = decodeBatchAppend(message);
    const append = this.unfinished.get(part.correlationKey) ?? this.begin(part);
    this.collect(append, part);
    if (!part.isFinal) {
      this.keep(append, receivedBytes(message, part.events.length));
      if (this.unfinished.size >= PARTS_UNFINISHED_MAX)
        throw new GrpcError(Code.resourceExhausted, 'Too many unfinished appends.');
      this.unfinished.set(part.correlationKey, append);
      return;
    }
    this.unfinished.delete(part.correlationKey);
    this.hold(append, 0);
    if (!append.isAnswered) this.execute(append);
  }

  onEnd(): void {
    this.hasEnded = true;
    this.endWhenAnswered();
  }

  onClose(): void {
    clearInterval(this.deadlineCheck);
    this.deadlineCheck = undefined;
    this.pending.clear();
    this.unfinished.clear();
    this.held.set(0);
  }

  private begin({ options, correlationId }: BatchAppendPart): PendingAppend {
    if (options === undefined) throw new GrpcError(Code.invalidArgument, 'The first part of an append must have options.');
    const fault = nameFault(options.stream);
    const nowMs = Date.now();
    const timeoutMs = Math.min(options.timeoutMs ?? WRITE_TIMEOUT_MS, WRITE_TIMEOUT_MS);
    const append: PendingAppend = {
      target: { stream: options.stream, expected: options.expected },
      // A copy: a view would keep the whole message in memory.
      answer: {
        correlationId: Buffer.from(correlationId),
        stream: Buffer.from(options.stream, 'utf8'),
        expected: options.expected,
      },
      deadlineAtMs: Math.min(options.deadlineAtMs ?? Number.POSITIVE_INFINITY, nowMs + timeoutMs),
      events: [],
      bytes: 0,
      receivedBytes: 0,
      refusal: fault === undefined ? undefined : batchBadRequest(fault),
      isAnswered: false,
    };
    this.pending.add(append);
    this.deadlineCheck ??= setInterval(() => this.answerOverdue(), DEADLINE_CHECK_MS).unref();
    return append;
  }

  private collect(append: PendingAppend, { events, invalid }: BatchAppendPart): void {
    if (invalid !== undefined) append.refusal ??= batchBadRequest(invalid.invalid);
    for (const event of events) append.events.push(event);
    append.bytes += appendBytes(events);
    if (append.bytes > this.service.appendBytesMax) {
      append.refusal ??= batchTooLarge(this.service.appendBytesMax);
      this.drop(append);
    }
  }

  /** Until the rest has come; of one that is refused or answered only the end is waited for. */
  private keep(append: PendingAppend, bytes: number): void {
    if (append.receivedBytes + bytes > RECEIVED_BYTES_MAX) append.refusal ??= batchTooLarge(this.service.appendBytesMax);
    try {
      if (append.refusal === undefined && !append.isAnswered) this.hold(append, append.receivedBytes + bytes);
    } catch (error) {
      if (!(error instanceof GrpcError)) throw error;
      append.refusal = { code: error.code, message: error.message, detail: 'StoreOverloaded' };
    }
    if (append.refusal !== undefined || append.isAnswered) this.drop(append);
  }

  private hold(append: PendingAppend, bytes: number): void {
    this.held.add(bytes - append.receivedBytes);
    append.receivedBytes = bytes;
  }

  private drop(append: PendingAppend): void {
    append.events.length = 0;
    this.hold(append, 0);
  }

  private execute(append: PendingAppend): void {
    const { target, events } = append;
    const { engine, authorization, metrics } = this.service;
    // Each time: one call carries appends for hours.
    const mayWrite = authorization.allows(this.call.caller, { action: 'write', stream: target.stream });
    const refusal = mayWrite ? append.refusal : BATCH_ACCESS_DENIED;
    if (refusal !== undefined) {
      this.refuse(append, refusal);
      return;
    }
    engine.append({ ...target, events }, (outcome) => {
      metrics.settled(outcome, events.length);
      if (outcome.kind === 'appended') this.reply(append, () => batchSuccess(append.answer, outcome));
      else this.reply(append, () => batchError(append.answer, batchErrorOf(outcome, target)));
    });
  }

  private refuse(append: PendingAppend, refusal: BatchError): void {
    this.service.metrics.refused(refusal.code === Code.permissionDenied ? 'access-denied' : 'invalid');
    this.reply(append, () => batchError(append.answer, refusal));
  }

  private reply(append: PendingAppend, frame: () => Buffer): void {
    if (append.isAnswered) return;
    append.isAnswered = true;
    this.pending.delete(append);
    if (this.call.isClosed) return;
    this.call.writeSoon(frame());
    this.endWhenAnswered();
  }

  private endWhenAnswered(): void {
    if (this.hasEnded && this.pending.size === 0) this.call.end();
  }

  private answerOverdue(): void {
    const nowMs = Date.now();
    for (const append of this.pending) {
      if (append.deadlineAtMs > nowMs) continue;
      this.reply(append, () => batchError(append.answer, BATCH_TIMEOUT));
      if (append.receivedBytes > 0) this.drop(append);
    }
    if (this.pending.size > 0) return;
    clearInterval(this.deadlineCheck);
    this.deadlineCheck = undefined;
  }
}
