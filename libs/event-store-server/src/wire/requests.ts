import { readId } from './event-id';
import type { ProposedEvent } from './recorded-event';
import { ProtoReader } from '@perdure/platform-event-store-wire';

export type Expected = number | 'any' | 'no-stream' | 'stream-exists';

/** 2^64-1 on the wire means "end"; so does all that no position can reach. */
export type Start = 'start' | 'end' | { readonly at: number };

export interface EventFilter {
  readonly on: 'stream-name' | 'event-type';
  readonly regex: string | undefined;
  readonly prefixes: readonly string[];
  /** Events considered before a checkpoint is due. */
  readonly checkpointInterval: number;
}

export interface ReadRequest {
  /** Undefined = the whole log. */
  readonly stream: string | undefined;
  readonly from: Start;
  readonly backwards: boolean;
  readonly limit: number;
  readonly subscribe: boolean;
  /** Links are answered together with the events that they stand for. */
  readonly resolveLinks: boolean;
  readonly filter: EventFilter | undefined;
  readonly structuredIds: boolean;
}

/** All of it, from its beginning. */
export const WHOLE_LOG: ReadRequest = {
  stream: undefined,
  from: 'start',
  backwards: false,
  limit: Number.POSITIVE_INFINITY,
  subscribe: false,
  resolveLinks: false,
  filter: undefined,
  structuredIds: false,
};

export interface AppendTarget {
  readonly stream: string;
  readonly expected: Expected;
}

export interface BatchAppendPart {
  /** The field's bytes, returned as they came. */
  readonly correlationId: Buffer;
  /** For use as a key. */
  readonly correlationKey: string;
  readonly options:
    (AppendTarget & { readonly deadlineAtMs: number | undefined; readonly timeoutMs: number | undefined }) | undefined;
  readonly events: readonly ProposedEvent[];
  /** The first event that is none: a message may hold millions of them. */
  readonly invalid: InvalidEvent | undefined;
  readonly isFinal: boolean;
}

/** Why a proposed event is refused; `missing` names the required properties that are not there. */
export interface InvalidEvent {
  readonly invalid: string;
  readonly missing: readonly string[];
}

const DEFAULT_SEARCH_WINDOW = 32;
/** Each is compared with each name. */
export const FILTER_PREFIXES_MAX = 1_000;
const EMPTY = Buffer.alloc(0);

export function readStreamName(reader: ProtoReader): string {
  let name = '';
  reader.message((field, inner) => {
    if (field === 3) name = inner.text();
  });
  return name;
}

export function readAppendTarget(reader: ProtoReader, more?: (field: number, inner: ProtoReader) => void): AppendTarget {
  let stream = '';
  let expected: Expected = 'any';
  reader.message((field, inner) => {
    if (field === 1) stream = readStreamName(inner);
    else if (field === 2) expected = Math.min(inner.varint(), Number.MAX_SAFE_INTEGER);
    else if (field === 3) expected = 'no-stream';
    else if (field === 4) expected = 'any';
    else if (field === 5) expected = 'stream-exists';
    else more?.(field, inner);
  });
  return { stream, expected };
}

export function readProposedEvent(reader: ProtoReader): ProposedEvent | InvalidEvent {
  let id: Buffer | undefined;
  let type: string | undefined;
  let contentType: string | undefined;
  let metadata: Buffer = EMPTY;
  let data: Buffer = EMPTY;
  reader.message((field, inner) => {
    if (field === 1) id = readId(inner);
    else if (field === 3) metadata = inner.view();
    else if (field === 4) data = inner.view();
    else if (field === 2) {
      const [key, value] = readMapEntry(inner);
      if (key === 'type') type = value;
      else if (key === 'content-type') contentType = value;
    }
  });
  const missing = [...(type ? [] : ['type']), ...(contentType ? [] : ['content-type'])];
  if (!type || !contentType) return { invalid: `Required metadata is missing: ${missing.join(', ')}.`, missing };
  if (id === undefined) return { invalid: 'The event id is not a UUID, or it is empty.', missing: [] };
  return { id, type, contentType, data, metadata };
}

function readMapEntry(reader: ProtoReader): [string, string] {
  let key = '';
  let value = '';
  reader.message((field, inner) => {
    if (field === 1) key = inner.text();
    else if (field === 2) value = inner.text();
  });
  return [key, value];
}

export function decodeBatchAppend(bytes: Buffer): BatchAppendPart {
  let correlationId: Buffer = EMPTY;
  let options: BatchAppendPart['options'];
  const events: ProposedEvent[] = [];
  let invalid: InvalidEvent | undefined;
  let isFinal = false;
  const collect = (event: ProposedEvent | InvalidEvent): void => {
    if ('invalid' in event) invalid ??= event;
    else events.push(event);
  };
  new ProtoReader(bytes).forEach((field, reader) => {
    if (field === 1) correlationId = reader.view();
    else if (field === 2) options = readBatchOptions(reader);
    else if (field === 3) collect(readProposedEvent(reader));
    else if (field === 4) isFinal = reader.varint() !== 0;
  });
  return { correlationId, correlationKey: correlationId.toString('latin1'), options, events, invalid, isFinal };
}

function readBatchOptions(reader: ProtoReader): NonNullable<BatchAppendPart['options']> {
  let deadlineAtMs: number | undefined;
  let timeoutMs: number | undefined;
  const target = readAppendTarget(reader, (field, inner) => {
    if (field === 6) deadlineAtMs = readSecondsAndNanos(inner);
    else if (field === 7) timeoutMs = readSecondsAndNanos(inner);
  });
  return { ...target, deadlineAtMs, timeoutMs };
}

function readSecondsAndNanos(reader: ProtoReader): number {
  let millis = 0;
  reader.message((field, inner) => {
    if (field === 1) millis += inner.varint() * 1000;
    else if (field === 2) millis += inner.varint() / 1_000_000;
  });
  return millis;
}

export type AppendPart = { readonly target: AppendTarget } | { readonly event: ProposedEvent | InvalidEvent };

export function decodeAppend(bytes: Buffer): AppendPart | undefined {
  let part: AppendPart | undefined;
  new ProtoReader(bytes).forEach((field, reader) => {
    if (field === 1) part = { target: readAppendTarget(reader) };
    else if (field === 2) part = { event: readProposedEvent(reader) };
  });
  return part;
}

/** Delete and Tombstone have the same form. */
export function decodeDelete(bytes: Buffer): AppendTarget {
  let target: AppendTarget = { stream: '', expected: 'any' };
  new ProtoReader(bytes).forEach((field, reader) => {
    if (field === 1) target = readAppendTarget(reader);
  });
  return target;
}

export function decodeRead(bytes: Buffer): ReadRequest {
  const request = {
    stream: undefined as string | undefined,
    from: 'start' as Start,
    backwards: false,
    limit: Number.POSITIVE_INFINITY,
    subscribe: false,
    resolveLinks: false,
    filter: undefined as EventFilter | undefined,
    structuredIds: true,
  };
  new ProtoReader(bytes).forEach((field, options) => {
    if (field !== 1) return;
    options.message((option, reader) => {
      if (option === 1) Object.assign(request, readStreamOptions(reader));
      else if (option === 2) request.from = readAllStart(reader);
      else if (option === 3) request.backwards = reader.varint() === 1;
      else if (option === 4) request.resolveLinks = reader.varint() !== 0;
      else if (option === 5) request.limit = reader.varint();
      else if (option === 6) request.subscribe = true;
      else if (option === 7) request.filter = readFilter(reader);
      else if (option === 9) request.structuredIds = readUuidOption(reader);
    });
  });
  return request;
}

export function placeOf(number: number): Start {
  return number > Number.MAX_SAFE_INTEGER ? 'end' : { at: number };
}

function readStreamOptions(reader: ProtoReader): { stream: string; from: Start } {
  let stream = '';
  let from: Start = 'start';
  reader.message((field, inner) => {
    if (field === 1) stream = readStreamName(inner);
    else if (field === 2) from = placeOf(inner.varint());
    else if (field === 3) from = 'start';
    else if (field === 4) from = 'end';
  });
  return { stream, from };
}

function readAllStart(reader: ProtoReader): Start {
  let from: Start = 'start';
  reader.message((field, inner) => {
    if (field === 2) from = 'start';
    else if (field === 3) from = 'end';
    else if (field === 1) {
      let commit = 0;
      inner.message((part, number) => {
        if (part === 1) commit = number.varint();
      });
      from = placeOf(commit);
    }
  });
  return from;
}

export function readUuidOption(reader: ProtoReader): boolean {
  let structured = true;
  reader.message((field) => {
    structured = field !== 2;
  });
  return structured;
}

export function readFilter(reader: ProtoReader): EventFilter {
  let on: EventFilter['on'] = 'stream-name';
  let regex: string | undefined;
  const prefixes: string[] = [];
  let window = DEFAULT_SEARCH_WINDOW;
  let multiplier = 1;
  reader.message((field, inner) => {
    if (field === 1 || field === 2) {
      on = field === 1 ? 'stream-name' : 'event-type';
      inner.message((part, expression) => {
        if (part === 1) regex = expression.text();
        // One too many is enough to be refused.
        else if (part === 2 && prefixes.length <= FILTER_PREFIXES_MAX) prefixes.push(expression.text());
      });
    } else if (field === 3) window = inner.varint();
    else if (field === 5) multiplier = inner.varint();
  });
  return { on, regex: regex === '' ? undefined : regex, prefixes, checkpointInterval: window * multiplier };
}

/** @returns the id of the scavenge */
export function decodeStopScavenge(bytes: Buffer): string {
  let id = '';
  new ProtoReader(bytes).forEach((field, options) => {
    if (field !== 1) return;
    options.message((option, reader) => {
      if (option === 1) id = reader.text();
    });
  });
  return id;
}
