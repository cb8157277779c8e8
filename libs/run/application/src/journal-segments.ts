import { utf8Bytes } from '@perdure/kernel';
import { SEGMENT_BYTES, SEGMENT_ITEMS, type JournalItem } from '@perdure/run-contract';

export interface FullSegment {
  readonly items: number;
  /** As JSON. */
  readonly text: string;
}

/** Cuts full segments from the oldest items; what is left is less than one. */
export function fullSegments(items: readonly JournalItem[]): readonly FullSegment[] {
  const full: FullSegment[] = [];
  let texts: string[] = [];
  let bytes = 0;
  for (const item of items) {
    const text = JSON.stringify(item);
    texts.push(text);
    bytes += utf8Bytes(text);
    if (texts.length < SEGMENT_ITEMS && bytes < SEGMENT_BYTES) continue;
    full.push({ items: texts.length, text: `[${texts.join(',')}]` });
    texts = [];
    bytes = 0;
  }
  return full;
}
