import type { Heartbeat } from '@perdure/run-contract';
import fc from 'fast-check';
import type { RunRecord } from './run-record';
import { Workers } from './workers';

// What a worker may still be given, counted as runs come and go, against the plainest count: all of them, each time.

const SLOTS = 8;
const FREE = 3;
const session = fc.constantFrom('s1', 's2');
const runIds = ['a', 'b', 'c', 'd'];
const runId = fc.constantFrom(...runIds);
const step = fc.oneof(
  fc.record({ do: fc.constant('place' as const), session, runId }),
  fc.record({ do: fc.constant('free' as const), session, runId }),
  fc.record({
    do: fc.constant('beat' as const),
    session,
    activations: fc.subarray(runIds),
    leaving: fc.boolean(),
    atMs: fc.nat(60_000),
  }),
);

const record = (id: string, sessionId: string) =>
  ({ tenant: 'acme', pool: 'main', runId: id, workerId: 'w', sessionId }) as RunRecord;

describe('the slots of a worker', () => {
  it('are counted the same, in whatever order runs come and go and heartbeats list them', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const workers = new Workers();
        const placed = new Map<string, Set<string>>([
          ['s1', new Set()],
          ['s2', new Set()],
        ]);
        let listed: { readonly session: string; readonly runs: ReadonlySet<string> } | undefined;
        for (const one of steps) {
          if (one.do === 'place') {
            placed.get(one.session)?.add(one.runId);
            workers.place(record(one.runId, one.session));
          } else if (one.do === 'free') {
            placed.get(one.session)?.delete(one.runId);
            workers.free(record(one.runId, one.session), { workerId: 'w', sessionId: one.session });
          } else {
            const { activations, leaving } = one;
            workers.beat(beat(one.session, activations, leaving), one.atMs);
            if (!leaving) listed = { session: one.session, runs: new Set(activations) };
            else if (listed?.session === one.session) listed = undefined;
          }
          if (listed === undefined) continue;
          const { runs } = listed;
          const here = [...(placed.get(listed.session) ?? [])];
          const freed = workers['pools'].get('acme.main')?.get('w')?.freedSince.size ?? 0;
          const expected = Math.min(FREE + freed - here.filter((id) => !runs.has(id)).length, SLOTS - here.length);
          expect(workers.creditsOf('acme.main', 'w')).toBe(expected);
        }
      }),
      { numRuns: 500 },
    );
  });
});

function beat(sessionId: string, activations: readonly string[], leaving: boolean): Heartbeat {
  return {
    v: 1,
    tenant: 'acme',
    pool: 'main',
    workerId: 'w',
    sessionId,
    buildId: 'b',
    hosts: [],
    slots: SLOTS,
    freeSlots: FREE,
    loopLagMs: 0,
    activations: [...activations],
    draining: false,
    leaving,
  };
}
