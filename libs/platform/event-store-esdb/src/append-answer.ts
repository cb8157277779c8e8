import { ProtoReader } from '@perdure/platform-event-store-wire';
import type { Position } from '@perdure/kernel';

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
