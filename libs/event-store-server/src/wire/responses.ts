import type { Expected } from './requests';
import { ProtoWriter, fieldSize, putVarint, varintSize } from '@perdure/platform-event-store-wire';

const ANY_TYPE = 'type.googleapis.com/event_store.client.';
const FRAME_HEADER_BYTES = 5;

/** The five bytes before each gRPC message: not compressed, length. */
export function frame(message: Buffer): Buffer {
  const framed = Buffer.allocUnsafe(FRAME_HEADER_BYTES + message.length);
  framed[0] = 0;
  framed.writeUInt32BE(message.length, 1);
  message.copy(framed, FRAME_HEADER_BYTES);
  return framed;
}

function readEventSize(recordedBytes: number, position: number): number {
  return fieldSize(recordedBytes) + 1 + varintSize(position);
}

/** A framed `ReadResp` around the stored bytes of a recorded event. Returns the next offset. */
export function putReadEvent(
  target: Buffer,
  at: number,
  event: { readonly recorded: Buffer; readonly position: number },
): number {
  const { recorded, position } = event;
  const inner = readEventSize(recorded.length, position);
  target[at] = 0;
  target.writeUInt32BE(fieldSize(inner), at + 1);
  target[at + 5] = 0x0a;
  let offset = putVarint(target, at + 6, inner);
  target[offset] = 0x0a;
  offset = putVarint(target, offset + 1, recorded.length);
  recorded.copy(target, offset);
  offset += recorded.length;
  target[offset] = 0x18;
  return putVarint(target, offset + 1, position);
}

/** A framed `ReadResp` of a link: with what it stands for, or alone when that is gone. */
export function readLink(link: Buffer, target: Buffer | undefined, position: number): Buffer {
  const write = (event: ProtoWriter): void => {
    if (target !== undefined) event.data(1, target);
    event.data(2, link).uint(3, position);
  };
  return frame(new ProtoWriter().message(1, write).finish());
}

export function confirmation(subscriptionId: string): Buffer {
  return frame(new ProtoWriter().message(2, (inner) => inner.text(1, subscriptionId)).finish());
}

export function checkpoint(position: number): Buffer {
  return frame(new ProtoWriter().message(3, (inner) => inner.uint(1, position).uint(2, position)).finish());
}

export function streamNotFound(stream: string): Buffer {
  return frame(new ProtoWriter().message(4, (inner) => inner.message(1, (identifier) => identifier.text(3, stream))).finish());
}

export const CAUGHT_UP = frame(new ProtoWriter().empty(8).finish());

export interface AppendSuccess {
  /** -1 = the stream has no event (an empty append). */
  readonly revision: number;
  readonly position: number | undefined;
}

function putExpected(writer: ProtoWriter, firstField: number, expected: Expected): void {
  if (typeof expected === 'number') writer.uint(firstField, expected);
  else writer.empty(firstField + { 'no-stream': 1, any: 2, 'stream-exists': 3 }[expected]);
}

function putSuccess(writer: ProtoWriter, { revision, position }: AppendSuccess): void {
  if (revision >= 0) writer.uint(1, revision);
  else writer.empty(2);
  if (position === undefined) writer.empty(4);
  else writer.message(3, (inner) => inner.uint(1, position).uint(2, position));
}

export function appendSuccess(success: AppendSuccess): Buffer {
  return frame(new ProtoWriter().message(1, (inner) => putSuccess(inner, success)).finish());
}

export function appendWrongVersion(current: number, expected: Expected): Buffer {
  const write = (inner: ProtoWriter): void => {
    if (current >= 0) inner.uint(6, current);
    else inner.empty(7);
    if (typeof expected === 'number') inner.uint(8, expected);
    else inner.empty({ any: 9, 'stream-exists': 10, 'no-stream': 11 }[expected]);
  };
  return frame(new ProtoWriter().message(2, write).finish());
}

/** Delete and Tombstone answer alike. */
export function deleted(position: number): Buffer {
  return frame(new ProtoWriter().message(1, (inner) => inner.uint(1, position).uint(2, position)).finish());
}

export interface BatchAnswer {
  readonly correlationId: Buffer;
  readonly stream: Buffer;
  readonly expected: Expected;
}

/**
 * The answer to most appends, written in one go. The client needs the stream identifier in every
 * answer, and the correlation id exactly once.
 */
export function batchSuccess(answer: BatchAnswer, success: AppendSuccess): Buffer {
  const { revision, position } = success;
  if (revision < 0 || position === undefined || typeof answer.expected === 'string') {
    return batchAnswer(answer, (writer) => writer.message(3, (inner) => putSuccess(inner, success)));
  }
  const { correlationId, stream, expected } = answer;
  const positionSize = 2 * (1 + varintSize(position));
  const successSize = 1 + varintSize(revision) + fieldSize(positionSize);
  const nameSize = fieldSize(stream.length);
  const size = fieldSize(correlationId.length) + fieldSize(successSize) + fieldSize(nameSize) + 1 + varintSize(expected);
  const bytes = Buffer.allocUnsafe(FRAME_HEADER_BYTES + size);
  bytes[0] = 0;
  bytes.writeUInt32BE(size, 1);
  bytes[5] = 0x0a;
  let at = putVarint(bytes, 6, correlationId.length);
  at += correlationId.copy(bytes, at);
  bytes[at] = 0x1a;
  at = putVarint(bytes, at + 1, successSize);
  bytes[at] = 0x08;
  at = putVarint(bytes, at + 1, revision);
  bytes[at] = 0x1a;
  at = putVarint(bytes, at + 1, positionSize);
  bytes[at] = 0x08;
  at = putVarint(bytes, at + 1, position);
  bytes[at] = 0x10;
  at = putVarint(bytes, at + 1, position);
  bytes[at] = 0x22;
  at = putVarint(bytes, at + 1, nameSize);
  bytes[at] = 0x1a;
  at = putVarint(bytes, at + 1, stream.length);
  at += stream.copy(bytes, at);
  bytes[at] = 0x28;
  putVarint(bytes, at + 1, expected);
  return bytes;
}

function batchAnswer({ correlationId, stream, expected }: BatchAnswer, result: (writer: ProtoWriter) => void): Buffer {
  const writer = new ProtoWriter().data(1, correlationId);
  result(writer);
  writer.message(4, (identifier) => identifier.data(3, stream));
  putExpected(writer, 5, expected);
  return frame(writer.finish());
}

export interface BatchError {
  /** A google.rpc.Code. */
  readonly code: number;
  readonly message: string;
  /** Name of the detail in package event_store.client, and its fields. */
  readonly detail: string;
  readonly fields?: (writer: ProtoWriter) => void;
}

export function batchError(answer: BatchAnswer, error: BatchError): Buffer {
  const detail = new ProtoWriter();
  error.fields?.(detail);
  return batchAnswer(answer, (writer) =>
    writer.message(2, (status) =>
      status
        .uint(1, error.code)
        .text(2, error.message)
        .message(3, (any) => any.text(1, ANY_TYPE + error.detail).data(2, detail.finish())),
    ),
  );
}

export function wrongVersionFields(current: number, expected: Expected): (writer: ProtoWriter) => void {
  return (writer) => {
    if (current >= 0) writer.uint(1, current);
    else writer.empty(2);
    if (typeof expected === 'number') writer.uint(3, expected);
    else writer.empty({ any: 4, 'stream-exists': 5, 'no-stream': 6 }[expected]);
  };
}

export interface SupportedMethod {
  readonly service: string;
  readonly method: string;
  readonly features: readonly string[];
}

export function supportedMethods(methods: readonly SupportedMethod[], version: string): Buffer {
  const writer = new ProtoWriter();
  for (const { service, method, features } of methods) {
    writer.message(1, (inner) => {
      inner.text(1, method).text(2, service);
      for (const feature of features) inner.text(3, feature);
    });
  }
  return frame(writer.text(2, version).finish());
}

/** One node that leads itself. */
export function clusterInfo(node: {
  readonly address: string;
  readonly port: number;
  readonly instanceId: string;
  readonly nowMs: number;
}): Buffer {
  const LEADER = 8;
  const write = (member: ProtoWriter): void => {
    member
      .message(1, (uuid) => uuid.text(2, node.instanceId))
      .uint(2, node.nowMs)
      .uint(3, LEADER)
      .uint(4, 1)
      .message(5, (endPoint) => endPoint.text(1, node.address).uint(2, node.port));
  };
  return frame(new ProtoWriter().message(1, write).finish());
}

const SCAVENGE_RESULT = { started: 0, 'in-progress': 1, stopped: 2 } as const;

export function scavengeAnswer(id: string, result: keyof typeof SCAVENGE_RESULT): Buffer {
  return frame(new ProtoWriter().text(1, id).uint(2, SCAVENGE_RESULT[result]).finish());
}
