import * as fc from 'fast-check';
import { MinHeap } from './min-heap';

it('gives back in order what was pushed in any order, also while more is pushed', () => {
  fc.assert(
    fc.property(fc.array(fc.integer()), fc.array(fc.integer()), (first, later) => {
      const heap = new MinHeap<number>();
      for (const key of first) heap.push(key, key);
      const kept = [...first].sort((left, right) => left - right);
      const out = [heap.pop()];
      expect(out).toEqual([kept[0]]);
      for (const key of later) heap.push(key, key);
      const rest = [...kept.slice(1), ...later].sort((left, right) => left - right);
      expect(heap.leastKey).toBe(rest[0]);
      expect(rest.map(() => heap.pop())).toEqual(rest);
      expect([heap.size, heap.pop(), heap.leastKey]).toEqual([0, undefined, undefined]);
    }),
  );
});
