import { Retryable, Terminal } from './errors';

/** `number` = the revision of the last event that the writer has seen. */
export type ExpectedRevision = number | 'no-stream' | 'stream-exists' | 'any';

export interface EventData {
  /** A UUID, deterministic: the store recognises a repeated append by it. */
  readonly id: string;
  readonly type: string;
  readonly data: unknown;
  readonly metadata: unknown;
}

/** Place in the whole log. Both parts are stored verbatim; never do arithmetic on them. */
export interface Position {
  readonly commit: string;
  readonly prepare: string;
}

export interface RecordedEvent extends EventData {
  readonly stream: string;
  readonly revision: number;
  readonly position: Position;
  /** The store's own clock when it recorded the event, in milliseconds since the epoch. */
  readonly recordedAtMs: number;
}

export type AppendResult =
  | { readonly outcome: 'appended'; readonly revision: number; readonly position: Position }
  | { readonly outcome: 'wrong-revision'; readonly actual: number | 'no-stream' }
  | { readonly outcome: 'stream-deleted' };

export interface ReadOptions {
  readonly direction: 'forward' | 'backward';
  /** Inclusive in both directions. */
  readonly from: number | 'start' | 'end';
  readonly limit: number;
}

export interface StreamMetadata {
  readonly maxCount?: number;
  readonly maxAgeSeconds?: number;
  readonly truncateBefore?: number;
  readonly custom?: Readonly<Record<string, unknown>>;
}

export interface Subscription {
  close(): Promise<void>;
}

export interface FollowStreamOptions {
  /** Exclusive: the revision seen last. */
  readonly after: number | 'start' | 'end';
  /** Called one event at a time; a returned promise holds back the next one. */
  onEvent(event: RecordedEvent): void | Promise<void>;
  /** May be called more than once. */
  onCaughtUp?(): void;
  /** The store does not let this client read: nothing more comes. */
  onRefused?(error: StoreAccessDenied): void;
}

export interface FollowAllOptions {
  /** Exclusive: the position seen last. */
  readonly after: Position | 'start' | 'end';
  /** Evaluated by the server. */
  readonly filter:
    | { readonly by: 'stream-name'; readonly prefixes: readonly string[] }
    | { readonly by: 'event-type'; readonly types: readonly string[] };
  onEvent(event: RecordedEvent): void | Promise<void>;
  /** Everything at or before this position has been seen or did not match. */
  onCheckpoint?(position: Position): void | Promise<void>;
  onCaughtUp?(): void;
  /** The store does not let this client read: nothing more comes. */
  onRefused?(error: StoreAccessDenied): void;
}

/**
 * The log. Adapters re-subscribe by themselves after a lost connection, from the event seen last.
 * @throws StoreUnavailable when the answer is not known: for an append, it may have happened.
 * @throws StoreAccessDenied when the credentials, or the rights of their login, do not suffice.
 */
export interface EventStore {
  append(stream: string, expected: ExpectedRevision, events: readonly EventData[]): Promise<AppendResult>;
  /** A missing stream reads as no events. */
  read(stream: string, options: ReadOptions): Promise<readonly RecordedEvent[]>;
  /** Every event of the log after `after` (exclusive), oldest first, at most `limit`. */
  readAll(options: { readonly after: Position | 'start'; readonly limit: number }): Promise<readonly RecordedEvent[]>;
  follow(stream: string, options: FollowStreamOptions): Subscription;
  followAll(options: FollowAllOptions): Subscription;
  setStreamMetadata(stream: string, metadata: StreamMetadata): Promise<void>;
  getStreamMetadata(stream: string): Promise<StreamMetadata>;
  close(): Promise<void>;
}

/** No definite answer. Send the identical append again until there is one. */
export class StoreUnavailable extends Retryable {
  constructor(message: string, cause?: unknown) {
    super('StoreUnavailable', message, { cause });
  }
}

/** The store will never accept this append as it is (for example, larger than its limit). */
export class AppendRefused extends Terminal {
  constructor(message: string, cause?: unknown) {
    super('AppendRefused', message, { cause });
  }
}

/** The store does not let this client in, or not there. Nothing was done. */
export class StoreAccessDenied extends Terminal {
  constructor(message: string, cause?: unknown) {
    super('StoreAccessDenied', message, { cause });
  }
}

/** -1, 0 or 1; positions are decimal text of up to 20 digits. */
export function comparePositions(left: Position, right: Position): number {
  return compareDecimal(left.commit, right.commit) || compareDecimal(left.prepare, right.prepare);
}

function compareDecimal(left: string, right: string): number {
  if (left.length !== right.length) return left.length < right.length ? -1 : 1;
  return left === right ? 0 : left < right ? -1 : 1;
}
