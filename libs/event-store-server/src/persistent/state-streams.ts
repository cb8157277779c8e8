import { newEventId } from '../engine/new-event-id';
import type { AppendOutcome, StoreEngine } from '../engine/store-engine';
import { METADATA_TYPE, METASTREAM_PREFIX } from '../engine/stream-limits';
import { visibleRange } from '../engine/visible-range';
import { recordedEventOf } from '../store/record';
import { dataOfRecordedEvent } from '../wire/recorded-event';

const EMPTY = Buffer.alloc(0);

export interface StateEvent {
  readonly stream: string;
  readonly type: string;
  readonly data: Buffer;
  readonly contentType?: string;
  readonly metadata?: Buffer;
}

/** Undefined when it is durable. */
export type Written = (failure: Error | undefined) => void;

/** Appends to a stream of which this server is the only writer. */
export function writeState(engine: StoreEngine, event: StateEvent, written: Written): void {
  const { stream, type, data, contentType = 'application/json', metadata = EMPTY } = event;
  const events = [{ id: newEventId(), type, contentType, data, metadata }];
  engine.append({ stream, expected: 'any', events }, (outcome) => written(failureOf(outcome, stream)));
}

export function writeMetadata(
  engine: StoreEngine,
  change: { readonly stream: string; readonly metadata: Readonly<Record<string, number>> },
  written: Written,
): void {
  const { stream, metadata } = change;
  writeState(engine, { stream: METASTREAM_PREFIX + stream, type: METADATA_TYPE, data: json(metadata) }, written);
}

/** Hides all that the stream holds. One that holds nothing stays as it is. */
export function clearState(engine: StoreEngine, stream: string): Promise<void> {
  const entry = engine.index.find(stream);
  if (entry === undefined || entry.isEmpty || entry.isSoftDeleted || entry.isTombstoned) return Promise.resolve();
  return new Promise((resolve, reject) => {
    engine.softDelete(stream, 'any', (outcome) => {
      const failure = failureOf(outcome, stream);
      if (failure === undefined) resolve();
      else reject(failure);
    });
  });
}

/**
 * The data of the newest event that a reader of the stream would see.
 * @throws EventDamaged
 */
export function lastState(engine: StoreEngine, stream: string): string | undefined {
  const entry = engine.index.find(stream);
  if (entry === undefined || entry.isTombstoned) return undefined;
  const { first, end } = visibleRange(engine, entry);
  return end === first ? undefined : dataText(engine.record(entry.event(end - 1)));
}

export function dataText(record: Buffer): string {
  return dataOfRecordedEvent(recordedEventOf(record)).toString('utf8');
}

export function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value), 'utf8');
}

function failureOf(outcome: AppendOutcome, stream: string): Error | undefined {
  switch (outcome.kind) {
    case 'appended':
      return undefined;
    case 'failed':
      return outcome.error;
    case 'wrong-version':
    case 'stream-deleted':
      return new Error(`The stream ${stream} was deleted for ever: persistent subscriptions cannot keep their state in it.`);
  }
}
