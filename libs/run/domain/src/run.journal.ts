import type { JournalItem } from '@perdure/run-contract';

/** A segment that was sealed into the blob store; its items never change. */
export interface SegmentReference {
  readonly blob: string;
  readonly items: number;
}

interface TailNode {
  readonly item: JournalItem;
  readonly previous: TailNode | undefined;
}

/**
 * What has happened, in order: sealed segments, then a tail in memory. Appending shares all that was there,
 * so that state stays immutable at constant cost.
 */
export interface Journal {
  readonly segments: readonly SegmentReference[];
  readonly tailLength: number;
  readonly tail: TailNode | undefined;
}

export const emptyJournal: Journal = { segments: [], tailLength: 0, tail: undefined };

export function appendItem(journal: Journal, item: JournalItem): Journal {
  return { segments: journal.segments, tailLength: journal.tailLength + 1, tail: { item, previous: journal.tail } };
}

export function tailItems(journal: Journal): JournalItem[] {
  const items = new Array<JournalItem>(journal.tailLength);
  let node = journal.tail;
  for (let index = journal.tailLength - 1; node !== undefined; index -= 1) {
    items[index] = node.item;
    node = node.previous;
  }
  return items;
}

export function journalFrom(segments: readonly SegmentReference[], items: readonly JournalItem[]): Journal {
  let journal: Journal = { ...emptyJournal, segments };
  for (const item of items) journal = appendItem(journal, item);
  return journal;
}

export function journalLength(journal: Journal): number {
  return journal.segments.reduce((sum, segment) => sum + segment.items, 0) + journal.tailLength;
}

/** The same journal with the oldest items of its tail replaced by references to where they were stored. */
export function sealOldest(journal: Journal, references: readonly SegmentReference[]): Journal {
  if (references.length === 0) return journal;
  const sealed = references.reduce((sum, { items }) => sum + items, 0);
  return journalFrom([...journal.segments, ...references], tailItems(journal).slice(sealed));
}
