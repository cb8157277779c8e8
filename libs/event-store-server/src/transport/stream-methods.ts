import { randomUUID } from 'node:crypto';
import type { AppendOutcome } from '../engine/store-engine';
import type { PageForm } from '../engine/event-pages';
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
import { LOG } from '../access/decide-access';
import { Code, GrpcError } from './grpc-status';
import { PagePace } from './page-pace';
import type { StoreService } from './store-service';

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

export function appendCall({ engine, authorization, metrics, appendBytesMax }: StoreService, call: GrpcCall): CallHandler {
  let target: AppendTarget | undefined;
  const events: ProposedEvent[] = [];
  const held = RECEIVING.hold();
  let bytes = 0;
  let received = 0;
  return {
    onMessage(message) {
      const part = decodeAppend(message);
      if (part === undefined) return;
      if ('target' in part) {
        target = part.target;
        authorization.authorize(call, { action: 'write', stream: target.stream });
      } else if (!('invalid' in part.event)) events.push(part.event);
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
        metrics.settled(outcome, events.length);
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

export function deleteCall(service: StoreService, call: GrpcCall, kind: 'softDelete' | 'tombstone'): CallHandler {
  const { engine, authorization } = service;
  return unary(call, (request) => {
    const target = decodeDelete(request);
    checkedName(target.stream);
    authorization.authorize(call, { action: 'delete', stream: target.stream });
    engine[kind](target.stream, target.expected, (outcome: AppendOutcome) => {
      if (outcome.kind === 'appended') call.write(deleted(outcome.position ?? 0));
      else if (outcome.kind === 'wrong-version') call.fail(wrongVersionError(target, outcome.current));
      else call.fail(outcome.kind === 'failed' ? failureError(outcome.error) : streamDeletedError(target.stream));
      call.end();
    });
  });
}

export function readCall(service: StoreService, call: GrpcCall): CallHandler {
  let stop = ignore;
  const handler = unary(call, (bytes) => {
    const request = decodeRead(bytes);
    if (request.stream !== undefined) checkedName(request.stream);
    try {
      authorizeRead(service, call, request);
      if (request.subscribe) stop = subscribe(service, call, request);
      else read(service, call, request);
    } catch (error) {
      call.fail(requestError(error, request));
    }
  });
  return { ...handler, onClose: () => stop() };
}

function authorizeRead({ authorization }: StoreService, call: GrpcCall, { stream = LOG }: ReadRequest): void {
  authorization.authorize(call, { action: 'read', stream });
}

function formOf({ authorization }: StoreService, call: GrpcCall, request: ReadRequest): PageForm {
  const { structuredIds, resolveLinks } = request;
  return { structuredIds, resolveLinks, mayRead: authorization.readerOf(call) };
}

/** EventStoreDB refuses a bad position in a subscription as an argument, in a read as unknown. */
function requestError(error: unknown, request: ReadRequest): unknown {
  if (error instanceof EventDamaged) return damagedError(error);
  if (error instanceof InvalidFilter) return new GrpcError(Code.invalidArgument, error.message);
  if (error instanceof InvalidPosition)
    return new GrpcError(request.subscribe ? Code.invalidArgument : Code.unknown, error.message);
  return error;
}

function read(service: StoreService, call: GrpcCall, request: ReadRequest): void {
  const source = openRead(service, call, request);
  if (source === undefined) return;
  const form = formOf(service, call, request);
  const pump = (): void => guarded(call, request, pages);
  const pace = new PagePace();
  const pages = (): void => {
    for (let turn = 0; turn < PAGES_PER_TURN; turn += 1) {
      if (call.isClosed) return;
      const page = source(pace.bytes);
      if (page === undefined) {
        call.end();
        return;
      }
      service.metrics.eventsRead += page.events.length;
      if (!call.write(page.frame(form))) {
        pace.whenTaken(call, pump);
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
function openRead({ engine }: StoreService, call: GrpcCall, request: ReadRequest): PageSource | undefined {
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
function subscribe(service: StoreService, call: GrpcCall, request: ReadRequest): () => void {
  const { engine, metrics } = service;
  const name = request.stream;
  if (name !== undefined && openStream(engine, name) === 'deleted') throw streamDeletedError(name);
  const stream = name === undefined ? undefined : engine.index.enter(name);
  const source = stream === undefined ? logSubscription(engine, request) : streamSubscription(engine, stream, request.from);
  const subscription = new LiveSubscription({ source, call, request, service });
  const unfollow = stream === undefined ? engine.followLog(subscription) : engine.followStream(stream, subscription);
  metrics.subscriptions += 1;
  call.write(confirmation(randomUUID()));
  subscription.wake();
  return () => {
    metrics.subscriptions -= 1;
    unfollow();
  };
}

interface SubscriptionOptions {
  readonly source: SubscriptionSource;
  readonly call: GrpcCall;
  readonly request: ReadRequest;
  readonly service: StoreService;
}

/** A cursor, not a buffer: a slow client costs no memory, it is merely further behind. */
class LiveSubscription {
  private isLive = false;
  private isBusy = false;
  private readonly form: PageForm;
  private readonly pace = new PagePace();

  constructor(private readonly options: SubscriptionOptions) {
    this.form = formOf(options.service, options.call, options.request);
  }

  wake(): void {
    if (!this.isBusy) this.pump();
  }

  private pump(): void {
    this.isBusy = true;
    const { call, request } = this.options;
    guarded(call, request, () => this.steps());
  }

  private steps(): void {
    const { call, request, service } = this.options;
    for (let turn = 0; turn < PAGES_PER_TURN; turn += 1) {
      if (call.isClosed) return;
      // The access list may have changed since.
      authorizeRead(service, call, request);
      const { hasRoom, isDone } = this.step();
      if (isDone) {
        this.isBusy = false;
        return;
      }
      if (!hasRoom) {
        this.pace.whenTaken(call, () => this.pump());
        return;
      }
    }
    setImmediate(() => this.pump());
  }

  private step(): { hasRoom: boolean; isDone: boolean } {
    const { source, call, request, service } = this.options;
    const { page, checkpoint: due, atHead } = source.next(this.isLive, this.pace.bytes);
    const frames: Buffer[] = [];
    if (page !== undefined) {
      frames.push(page.frame(this.form));
      service.metrics.eventsRead += page.events.length;
    }
    if (due !== undefined) frames.push(checkpoint(due));
    if (atHead && !this.isLive) {
      this.isLive = true;
      frames.push(CAUGHT_UP);
    }
    const hasRoom = frames.length === 0 || call.write(frames.length === 1 ? (frames[0] as Buffer) : Buffer.concat(frames));
    if (source.isTombstoned) call.fail(streamDeletedError(request.stream ?? ''));
    return { hasRoom, isDone: atHead && hasRoom };
  }
}
