import type { Position, RecordedEvent } from '@perdure/kernel';
import { ProtoReader, type RawEvent, decodeRecordedEvent } from '@perdure/platform-event-store-wire';

/** What a server says in answer to a read or a subscription, as far as anybody here listens. */
export type ReadAnswer =
  | { readonly is: 'event'; readonly event: RawEvent }
  | { readonly is: 'checkpoint'; readonly position: Position }
  | { readonly is: 'confirmed' | 'caught-up' | 'else' };

const ELSE: ReadAnswer = { is: 'else' };
const CONFIRMED: ReadAnswer = { is: 'confirmed' };
const CAUGHT_UP: ReadAnswer = { is: 'caught-up' };
const TICKS_PER_MS_DIGITS = 4;

/** Reads a `ReadResp`; the bytes of an event stay views of it. @throws MalformedMessage */
export function readAnswer(message: Buffer): ReadAnswer {
  let answer = ELSE;
  new ProtoReader(message).forEach((field, reader) => {
    if (field === 1) answer = eventIn(reader);
    else if (field === 2) answer = CONFIRMED;
    else if (field === 3) answer = checkpointIn(reader);
    else if (field === 8) answer = CAUGHT_UP;
  });
  return answer;
}

/** A link whose target is gone carries no event. */
function eventIn(reader: ProtoReader): ReadAnswer {
  let answer = ELSE;
  reader.message((field, inner) => {
    if (field === 1) answer = { is: 'event', event: decodeRecordedEvent(inner.view()) };
  });
  return answer;
}

function checkpointIn(reader: ProtoReader): ReadAnswer {
  let [commit, prepare] = ['0', '0'];
  reader.message((field, inner) => {
    if (field === 1) commit = inner.unsignedText();
    else if (field === 2) prepare = inner.unsignedText();
  });
  return { is: 'checkpoint', position: { commit, prepare } };
}

export function recordedEventOf(event: RawEvent): RecordedEvent {
  const { stream, revision, id, type, contentType, data, metadata, createdTicks, position, prepare } = event;
  return {
    id,
    type,
    data: contentType === 'application/json' ? jsonOr(data, (text) => text) : data,
    metadata: metadata.length === 0 ? undefined : jsonOr(metadata, () => metadata),
    stream,
    revision,
    // Positions are text: they are stored verbatim and outgrow a JavaScript number.
    position: { commit: position, prepare },
    recordedAtMs: Number(createdTicks.slice(0, -TICKS_PER_MS_DIGITS)),
  };
}

/** What others have written into the log need not be what it claims. */
function jsonOr<T>(bytes: Buffer, otherwise: (text: string) => T): RecordedEvent['data'] | T {
  const text = bytes.toString('utf8');
  try {
    return JSON.parse(text) as RecordedEvent['data'];
  } catch {
    return otherwise(text);
  }
}

/** Metadata, link pointers and the like are written by the store itself. */
export function isSystemEvent({ type }: RecordedEvent): boolean {
  return type.startsWith('$');
}
