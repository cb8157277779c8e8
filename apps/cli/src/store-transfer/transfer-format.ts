import type { RawEvent } from '@perdure/platform-event-store-esdb';

// A transfer is lines of JSON: a header, a line an event in the order of the log, and an end that counts them.
//
// 1. Bytes are kept. JSON stands as JSON only when writing it again gives the same bytes; else it is base64.
// 2. The end carries the SHA-256 of all lines before it, so that a file that was cut off or changed is noticed.

export const TRANSFER_FORMAT = 'perdure-event-transfer';
export const TRANSFER_VERSION = 1;

export interface TransferHeader {
  readonly format: typeof TRANSFER_FORMAT;
  readonly version: typeof TRANSFER_VERSION;
  readonly source: string;
  readonly exportedAt: string;
}

export interface TransferCounts {
  readonly events: number;
  readonly tombstones: number;
  readonly streams: number;
  /** Of the server itself: left out. */
  readonly systemEventsLeftOut: number;
  /** Checkpoints of Perdure's services, which name places in the log: left out. */
  readonly placesLeftOut: number;
}

export interface TransferEnd extends TransferCounts {
  readonly end: true;
  readonly sha256: string;
}

export interface TransferEvent {
  readonly kind: 'event';
  readonly stream: string;
  readonly revision: number;
  readonly id: string;
  readonly type: string;
  readonly contentType: string;
  readonly data: Buffer;
  readonly metadata: Buffer;
}

export interface TransferTombstone {
  readonly kind: 'tombstone';
  readonly stream: string;
}

export type TransferItem = TransferEvent | TransferTombstone;

const JSON_CONTENT = 'application/json';
const TICKS_A_MS = 10_000;

export function headerLine(source: string, nowMs: number): string {
  const header: TransferHeader = {
    format: TRANSFER_FORMAT,
    version: TRANSFER_VERSION,
    source,
    exportedAt: new Date(nowMs).toISOString(),
  };
  return `${JSON.stringify(header)}\n`;
}

export function endLine(counts: TransferCounts, sha256: string): string {
  const end: TransferEnd = { end: true, ...counts, sha256 };
  return `${JSON.stringify(end)}\n`;
}

export function eventLine(event: RawEvent): string {
  const { stream, revision, id, type, contentType, position } = event;
  const created = createdText(event.createdTicks);
  if (event.isTombstone) return `${JSON.stringify({ stream, tombstone: true, created, position })}\n`;
  const head = JSON.stringify({ stream, revision, id, type, contentType, created, position });
  const data = bytesField('data', event.data, contentType === JSON_CONTENT);
  const metadata = event.metadata.length === 0 ? '' : bytesField('metadata', event.metadata, true);
  return `${head.slice(0, -1)}${data}${metadata}}\n`;
}

/** To the tick of 100 nanoseconds; for people, since no server takes it over. */
function createdText(ticks: string): string {
  const iso = new Date(Math.floor(Number(ticks) / TICKS_A_MS)).toISOString();
  return `${iso.slice(0, -1)}${ticks.slice(-4).padStart(4, '0')}Z`;
}

function bytesField(name: string, bytes: Buffer, mayBeJson: boolean): string {
  const json = mayBeJson ? exactJson(bytes) : undefined;
  return json === undefined ? `,"${name}64":"${bytes.toString('base64')}"` : `,"${name}":${json}`;
}

/** Undefined when the bytes are not what a writer of JSON would make of their value. */
function exactJson(bytes: Buffer): string | undefined {
  const text = bytes.toString('utf8');
  try {
    const written = JSON.stringify(JSON.parse(text));
    return written === text && Buffer.byteLength(text, 'utf8') === bytes.length && !text.includes('\ufffd') ? text : undefined;
  } catch {
    return undefined;
  }
}

export function isHeader(value: unknown): value is TransferHeader {
  const { format, version } = fieldsOf(value);
  return format === TRANSFER_FORMAT && version === TRANSFER_VERSION;
}

export function isEnd(value: unknown): value is TransferEnd {
  const { end, events, tombstones, sha256 } = fieldsOf(value);
  return end === true && isWhole(events) && isWhole(tombstones) && typeof sha256 === 'string';
}

/** Undefined when the line is none of an event. */
export function itemOf(value: unknown): TransferItem | undefined {
  const fields = fieldsOf(value);
  const { stream, revision, id, type, contentType } = fields;
  if (typeof stream !== 'string' || stream === '') return undefined;
  if (fields['tombstone'] === true) return { kind: 'tombstone', stream };
  const [data, metadata] = [bytesOf(fields, 'data'), bytesOf(fields, 'metadata')];
  if (!isWhole(revision) || typeof id !== 'string' || typeof type !== 'string' || typeof contentType !== 'string')
    return undefined;
  if (data === undefined) return undefined;
  return { kind: 'event', stream, revision, id, type, contentType, data, metadata: metadata ?? Buffer.alloc(0) };
}

function bytesOf(fields: Readonly<Record<string, unknown>>, name: string): Buffer | undefined {
  const encoded = fields[`${name}64`];
  if (typeof encoded === 'string') return Buffer.from(encoded, 'base64');
  return name in fields ? Buffer.from(JSON.stringify(fields[name]), 'utf8') : undefined;
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : {};
}

function isWhole(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
