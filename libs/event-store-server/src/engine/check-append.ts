import type { Expected } from '../wire/requests';
import type { EventIndex } from './event-index';
import type { StreamEntry } from './stream-entry';

export type AppendVerdict =
  | { readonly verdict: 'write'; readonly revives: boolean }
  /** The same events are there already: the answer is the one they got then. */
  | { readonly verdict: 'repeat'; readonly lastEvent: number; readonly revision: number }
  | { readonly verdict: 'wrong-version'; readonly current: number }
  | { readonly verdict: 'stream-deleted' };

export interface AppendCheck {
  readonly index: EventIndex;
  readonly stream: StreamEntry;
  /** The stream's metadata exists: that makes the stream exist, too. */
  readonly hasMetadata: boolean;
  readonly expected: Expected;
  readonly ids: readonly Buffer[];
  /** Id of an event that is stored or about to be. */
  idOf(event: number): Buffer;
}

/** Decides in the order in which EventStoreDB does, on the stream as it stands with all that is queued. */
export function checkAppend(check: AppendCheck): AppendVerdict {
  const { stream, expected } = check;
  if (stream.isTombstoned) return { verdict: 'stream-deleted' };
  if (expected === 'any' || expected === 'stream-exists') return checkLoose(check, expected);
  return checkExact(check, expected === 'no-stream' ? -1 : expected);
}

function checkLoose(check: AppendCheck, expected: 'any' | 'stream-exists'): AppendVerdict {
  const { index, stream, ids } = check;
  if (expected === 'stream-exists') {
    if (stream.isSoftDeleted) return { verdict: 'stream-deleted' };
    if (stream.lastRevision < 0 && !check.hasMetadata) return wrong(stream);
  }
  const [firstId] = ids;
  const first = firstId === undefined ? undefined : index.recentEvent(firstId, stream);
  if (first === undefined) return { verdict: 'write', revives: stream.isSoftDeleted };
  let lastEvent = first;
  for (const id of ids) {
    const event = index.recentEvent(id, stream);
    if (event === undefined) return wrong(stream);
    lastEvent = event;
  }
  return { verdict: 'repeat', lastEvent, revision: stream.revisionOf(lastEvent) };
}

function checkExact(check: AppendCheck, expected: number): AppendVerdict {
  const { stream, ids } = check;
  const current = stream.lastRevision;
  if (expected === current) return { verdict: 'write', revives: stream.isSoftDeleted };
  if (expected > current) return wrong(stream);
  for (const [index, id] of ids.entries()) {
    const revision = expected + 1 + index;
    if (revision >= stream.firstRevision && revision <= current && check.idOf(stream.event(revision)).equals(id)) continue;
    const revives = index === 0 && expected < 0 && stream.isSoftDeleted;
    return revives ? { verdict: 'write', revives } : wrong(stream);
  }
  if (ids.length === 0) return wrong(stream);
  const revision = expected + ids.length;
  return { verdict: 'repeat', lastEvent: stream.event(revision), revision };
}

function wrong(stream: StreamEntry): AppendVerdict {
  return { verdict: 'wrong-version', current: stream.lastRevision };
}
