import { randomUUID } from 'node:crypto';
import { type StoreEngine, type AppendOutcome } from '../engine/store-engine';
import { EventDamaged } from '../errors';
import { nameFault } from '../engine/name-length';
import { InvalidFilter } from '../engine/event-filter';
import {
  InvalidPosition,
  type PageSource,
  type SubscriptionSource,
  logReader,
  logSubscription,
  openStream,
  streamReader,
  streamSubscription,
} from '../engine/readers';
import { type AppendTarget, type ReadRequest, decodeAppend, decodeDelete, decodeRead } from '../wire/requests';
import type { ProposedEvent } from '../wire/recorded-event';
import {
  CAUGHT_UP,
  appendSuccess,
  appendWrongVersion,
  checkpoint,
  confirmation,
  deleted,
  streamNotFound,
} from '../wire/responses';
import {
  APPEND_BYTES_MAX,
  RECEIVED_BYTES_MAX,
  appendBytes,
  damagedError,
  failureError,
  missingPropertiesError,
  receivedBytes,
  streamDeletedError,
  tooLargeError,
  wrongVersionError,
} from './append-errors';
import { RECEIVING } from './byte-budget';
import type { CallHandler, GrpcCall } from './grpc-call';
import { Code, GrpcError } from './grpc-status';

/** Pages in a row before other calls get their turn. */
const PAGES_PER_TURN = 4;

function ignore(): void {
  // Nothing to do.
}

/** @throws GrpcError when no stream can have this name */
function checkedName(name: string): string {
  const fault = nameFault(name);
  if (fault !== undefined) throw new GrpcError(Code.invalidArgument, fault);
  return name;
}

/** A call with one request and one answer. */
export function unary(call: GrpcCall, respond: (request: Buffer) => void): CallHandler {
  let request: Buffer | undefined;
  return {
    onMessage(message) {
      request = message;
    },
    onEnd() {
      if (request === undefined) call.fail(new GrpcError(Code.invalidArgument, 'The request is missing.'));
      else respond(request);
    },
    onClose: ignore,
  };
}

export function appendCall(engine: StoreEngine, call: GrpcCall, appendBytesMax = APPEND_BYTES_MAX): CallHandler {
  let target: AppendTarget | undefined;
  const events: ProposedEvent[] = [];
  const held = RECEIVING.hold();
  let bytes = 0;
  let received = 0;
  return {
    onMessage(message) {
      const part = decodeAppend(message);
      if (part === undefined) return;
      if ('target' in part) target = part.target;
      else if (!('invalid' in part.event)) events.push(part.event);
      else if (part.event.missing.length > 0) throw missingPropertiesError(part.event.missing);
      else throw new GrpcError(Code.invalidArgument, part.event.invalid);
      if ('event' in part && !('invalid' in part.event)) bytes += appendBytes([part.event]);
      received += receivedBytes(message, 1);
      if (bytes > appendBytesMax || received > RECEIVED_BYTES_MAX) throw tooLargeError(appendBytesMax);
      held.set(received);
    },
    onEnd() {
      const stream = checkedName(target?.stream ?? '');
      const expected = target?.expected ?? 'any';
      engine.append({ stream, expected, events }, (outcome) => {
        if (outcome.kind === 'appended') call.write(appendSuccess(outcome));
        else if (outcome.kind === 'wrong-version') call.write(appendWrongVersion(outcome.current, expected));
        else call.fail(outcome.kind === 'failed' ? failureError(outcome.error) : streamDeletedError(stream));
        call.end();
      });
      held.set(0);
    },
    onClose: () => held.set(0),
  };
}

export function deleteCall(engine: StoreEngine, call: GrpcCall, kind: 'softDelete' | 'tombstone'): CallHandler {
  return unary(call, (request) => {
    const target = decodeDelete(request);
    checkedName(target.stream);
    engine[kind](target.stream, target.expected, (outcome: AppendOutcome) => {
      if (outcome.kind === 'appended') call.write(deleted(outcome.position ?? 0));
      else if (outcome.kind === 'wrong-version') call.fail(wrongVersionError(target, outcome.current));
      else call.fail(outcome.kind === 'failed' ? failureError(outcome.error) : streamDeletedError(target.stream));
      call.end();
    });
  });
}

export function readCall(engine: StoreEngine, call: GrpcCall): CallHandler {
  let stop = ignore;
  const handler = unary(call, (bytes) => {
    const request = decodeRead(bytes);
    if (request.stream !== undefined) checkedName(request.stream);
    try {
      if (request.subscribe) stop = subscribe(engine, call, request);
      else read(engine, call, request);
    } catch (error) {
      call.fail(requestError(error, request));
    }
  });
  return { ...handler, onClose: () => stop() };
}

/** EventStoreDB refuses a bad position in a subscription as an argument, in a read as unknown. */
function requestError(error: unknown, request: ReadRequest): unknown {
  if (error instanceof EventDamaged) return damagedError(error);
  if (error instanceof InvalidFilter) return new GrpcError(Code.invalidArgument, error.message);
  if (error instanceof InvalidPosition)
    return new GrpcError(request.subscribe ? Code.invalidArgument : Code.unknown, error.message);
  return error;
}

function read(engine: StoreEngine, call: GrpcCall, request: ReadRequest): void {
  const source = openRead(engine, call, request);
  if (source === undefined) return;
  const pump = (): void => guarded(call, request, pages);
  const pages = (): void => {
    for (let turn = 0; turn < PAGES_PER_TURN; turn += 1) {
      if (call.isClosed) return;
      const page = source();
      if (page === undefined) {
        call.end();
        return;
      }
      if (!call.write(page.frame(request))) {
        call.whenDrained(pump);
        return;
      }
    }
    setImmediate(pump);
  };
  pages();
}

/** What goes wrong in a later turn ends the call, not the server. */
function guarded(call: GrpcCall, request: ReadRequest, action: () => void): void {
  try {
    action();
  } catch (error) {
    call.fail(requestError(error, request));
  }
}

/** Undefined when the answer has been given already: there is nothing to read. */
function openRead(engine: StoreEngine, call: GrpcCall, request: ReadRequest): PageSource | undefined {
  if (request.stream === undefined) return logReader(engine, request);
  const stream = openStream(engine, request.stream);
  if (stream === 'deleted') throw streamDeletedError(request.stream);
  if (stream === 'missing') {
    call.write(streamNotFound(request.stream));
    call.end();
    return undefined;
  }
  return streamReader(engine, stream, request);
}

/** @returns a function that stops the subscription */
function subscribe(engine: StoreEngine, call: GrpcCall, request: ReadRequest): () => void {
  const name = request.stream;
  if (name !== undefined && openStream(engine, name) === 'deleted') throw streamDeletedError(name);
  const stream = name === undefined ? undefined : engine.index.enter(name);
  const source = stream === undefined ? logSubscription(engine, request) : streamSubscription(engine, stream, request.from);
  const subscription = new LiveSubscription(source, call, request);
  const stop = stream === undefined ? engine.followLog(subscription) : engine.followStream(stream, subscription);
  call.write(confirmation(randomUUID()));
  subscription.wake();
  return stop;
}

/** A cursor, not a buffer: a slow client costs no memory, it is merely further behind. */
class LiveSubscription {
  private isLive = false;
  private isBusy = false;

  constructor(
    private readonly source: SubscriptionSource,
    private readonly call: GrpcCall,
    private readonly request: ReadRequest,
  ) {}

  wake(): void {
    if (!this.isBusy) this.pump();
  }

  private pump(): void {
    this.isBusy = true;
    guarded(this.call, this.request, () => this.steps());
  }

  private steps(): void {
    for (let turn = 0; turn < PAGES_PER_TURN; turn += 1) {
      if (this.call.isClosed) return;
      const { hasRoom, isDone } = this.step();
      if (isDone) {
        this.isBusy = false;
        return;
      }
      if (!hasRoom) {
        this.call.whenDrained(() => this.pump());
        return;
      }
    }
    setImmediate(() => this.pump());
  }

  private step(): { hasRoom: boolean; isDone: boolean } {
    const { page, checkpoint: due, atHead } = this.source.next(this.isLive);
    const frames: Buffer[] = [];
    if (page !== undefined) frames.push(page.frame(this.request));
    if (due !== undefined) frames.push(checkpoint(due));
    if (atHead && !this.isLive) {
      this.isLive = true;
      frames.push(CAUGHT_UP);
    }
    const hasRoom = frames.length === 0 || this.call.write(frames.length === 1 ? (frames[0] as Buffer) : Buffer.concat(frames));
    if (this.source.isTombstoned) this.call.fail(streamDeletedError(this.request.stream ?? ''));
    return { hasRoom, isDone: atHead && hasRoom };
  }
}
