import { ProtoReader } from '@perdure/platform-event-store-wire';
import type { Position, RecordedEvent } from '@perdure/kernel';

/** Detail of an error in a batch answer: the last part of its type name. */
export interface AppendError {
  readonly detail: string;
  readonly message: string;
  /** -1 when the stream has no event; only for a wrong expected version. */
  readonly current: number;
  readonly code: number;
}

export interface AppendAnswer {
  readonly sequence: number;
  readonly revision: number;
  readonly position: Position;
  readonly error: AppendError | undefined;
}

const NOWHERE: Position = { commit: '0', prepare: '0' };
const TICKS_DIGITS = 4;

export function decodeAppendAnswer(bytes: Buffer): AppendAnswer {
  let sequence = -1;
  let revision = -1;
  let position = NOWHERE;
  let error: AppendError | undefined;
  new ProtoReader(bytes).forEach((field, reader) => {
    if (field === 1) sequence = readSequence(reader);
    else if (field === 2) error = readError(reader);
    else if (field === 3) {
      reader.message((part, inner) => {
        if (part === 1) revision = inner.varint();
        else if (part === 3) position = readPosition(inner);
      });
    }
  });
  return { sequence, revision, position, error };
}

function readSequence(reader: ProtoReader): number {
  let sequence = -1;
  reader.message((field, uuid) => {
    if (field !== 1) return;
    uuid.message((half, number) => {
      if (half === 2) sequence = number.varint();
    });
  });
  return sequence;
}

function readError(reader: ProtoReader): AppendError {
  let code = 0;
  let message = '';
  let typeUrl = '';
  let value: Buffer = Buffer.alloc(0);
  reader.message((field, status) => {
    if (field === 1) code = status.varint();
    else if (field === 2) message = status.text();
    else if (field === 3) {
      status.message((part, any) => {
        if (part === 1) typeUrl = any.text();
        else if (part === 2) value = any.view();
      });
    }
  });
  let current = -1;
  const detail = typeUrl.slice(typeUrl.lastIndexOf('.') + 1);
  if (detail === 'WrongExpectedVersion') {
    new ProtoReader(value).forEach((field, inner) => {
      if (field === 1) current = inner.varint();
    });
  }
  return { code, message, detail, current };
}

/** Verbatim text: both numbers are unsigned 64 bits. */
function readPosition(reader: ProtoReader): Position {
  let commit = '0';
  let prepare = '0';
  reader.message((field, inner) => {
    if (field === 1) commit = inner.unsignedText();
    else if (field === 2) prepare = inner.unsignedText();
  });
  return { commit, prepare };
}

export type ReadAnswer =
  | { readonly kind: 'event'; readonly event: RecordedEvent }
  | { readonly kind: 'checkpoint'; readonly position: Position }
  | { readonly kind: 'caught-up' }
  | { readonly kind: 'confirmed' }
  | { readonly kind: 'stream-not-found' }
  | { readonly kind: 'other' };

const OTHER: ReadAnswer = { kind: 'other' };

export function decodeReadAnswer(bytes: Buffer): ReadAnswer {
  let answer: ReadAnswer = OTHER;
  new ProtoReader(bytes).forEach((field, reader) => {
    if (field === 1) answer = readEvent(reader);
    else if (field === 2) answer = { kind: 'confirmed' };
    else if (field === 3) answer = { kind: 'checkpoint', position: readPosition(reader) };
    else if (field === 4) answer = { kind: 'stream-not-found' };
    else if (field === 8) answer = { kind: 'caught-up' };
  });
  return answer;
}

function readEvent(reader: ProtoReader): ReadAnswer {
  let event: RecordedEvent | undefined;
  reader.message((field, inner) => {
    if (field === 1) event = readRecorded(inner);
  });
  return event === undefined ? OTHER : { kind: 'event', event };
}

function readRecorded(reader: ProtoReader): RecordedEvent {
  let id = '';
  let stream = '';
  let revision = 0;
  let commit = '0';
  let prepare = '0';
  let data: Buffer | undefined;
  let metadata: Buffer | undefined;
  const system = { type: '', 'content-type': '', created: '' };
  reader.message((field, inner) => {
    if (field === 1) inner.message((part, uuid) => void (part === 2 && (id = uuid.text())));
    else if (field === 2) inner.message((part, name) => void (part === 3 && (stream = name.text())));
    else if (field === 3) revision = inner.varint();
    else if (field === 4) prepare = inner.unsignedText();
    else if (field === 5) commit = inner.unsignedText();
    else if (field === 6) readSystemField(inner, system);
    else if (field === 7) metadata = inner.view();
    else if (field === 8) data = inner.view();
  });
  return {
    id,
    type: system.type,
    data: system['content-type'] === 'application/json' ? parse(data) : data,
    metadata: metadata === undefined || metadata.length === 0 ? undefined : parse(metadata),
    stream,
    revision,
    position: { commit, prepare },
    recordedAtMs: Number(system.created.slice(0, -TICKS_DIGITS)),
  };
}

function readSystemField(reader: ProtoReader, into: Record<'type' | 'content-type' | 'created', string>): void {
  let key = '';
  reader.message((field, inner) => {
    if (field === 1) key = inner.text();
    else if (field === 2 && (key === 'type' || key === 'content-type' || key === 'created')) into[key] = inner.text();
  });
}

/** What another program wrote need not be JSON: it is given on as text. */
function parse(bytes: Buffer | undefined): unknown {
  const text = bytes?.toString('utf8') ?? '';
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
