import { SEGMENT_BYTES, SEGMENT_ITEMS, type JournalItem } from '@perdure/run-contract';
import { fullSegments } from './journal-segments';

function items(count: number, chars: number): JournalItem[] {
  const outcome = { ok: true as const, value: '€'.repeat(chars) };
  return Array.from({ length: count }, (_, at) => ({ type: 'got', call: `${at}`, kind: 'step', name: 's', outcome }));
}

describe('the segments of a journal', () => {
  it.each([
    ['many small items', items(2_500, 0), [SEGMENT_ITEMS, SEGMENT_ITEMS]],
    ['large items', items(10, 60_000), [3, 3, 3]],
    ['items of which each is larger than a segment', items(3, 200_000), [1, 1, 1]],
    ['less than a segment', items(3, 10), []],
    ['nothing', [], []],
  ])('are cut of %s', (_, journal, sizes) => {
    const segments = fullSegments(journal);
    expect(segments.map((segment) => segment.items)).toEqual(sizes);
    const sealed = segments.flatMap(({ text }) => JSON.parse(text) as JournalItem[]);
    expect(sealed).toEqual(journal.slice(0, sealed.length));
    expect(Buffer.byteLength(JSON.stringify(journal.slice(sealed.length)))).toBeLessThan(SEGMENT_BYTES);
  });
});
