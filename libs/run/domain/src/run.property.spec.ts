import * as fc from 'fast-check';
import { fold } from '@perdure/kernel';
import type { RunEvent } from '@perdure/run-contract';
import { moves, playRun } from '@perdure/testing';
import { evolve } from './run.evolve';
import { noRun } from './run.state';

const TERMINAL = ['RunRefused', 'RunCompleted', 'RunFailed', 'RunCancelled', 'RunTimedOut'];
const SEEDS = { numRuns: 150, seed: 20_260_102 };

describe.each(['workflow', 'agent'] as const)('any history of a %s', (kind) => {
  const holds = (check: (events: readonly RunEvent[]) => void): void => {
    fc.assert(
      fc.property(moves, (given) => check(playRun(kind, given).events)),
      SEEDS,
    );
  };

  it('folds to one state, whoever folds it and whenever', () => {
    fc.assert(
      fc.property(moves, fc.nat(), (given, cut) => {
        const { events, states } = playRun(kind, given);
        const at = events.length === 0 ? 0 : cut % events.length;
        const half = fold({ evolve }, noRun, events.slice(0, at));
        const stored = JSON.parse(JSON.stringify(events)) as RunEvent[];
        expect(fold({ evolve }, half, stored.slice(at))).toEqual(states.at(-1) ?? noRun);
        expect(fold({ evolve }, noRun, stored)).toEqual(states.at(-1) ?? noRun);
      }),
      SEEDS,
    );
  });

  it('holds at most one end, and nothing after it', () => {
    holds((events) => {
      const end = events.findIndex(({ type }) => TERMINAL.includes(type));
      if (end >= 0) expect(end).toBe(events.length - 1);
    });
  });

  it('has epochs that rise by one, and reports only of the newest', () => {
    holds((events) => {
      let epoch = 0;
      let seq = 0;
      for (const event of events) {
        if (event.type === 'RunAssigned') {
          expect(event.data.epoch).toBe(epoch + 1);
          epoch += 1;
          seq = 0;
        }
        if (event.report === undefined) continue;
        expect(event.report.epoch).toBe(epoch);
        expect(event.report.seq - seq).toBeGreaterThanOrEqual(0);
        expect(event.report.seq - seq).toBeLessThanOrEqual(1);
        seq = event.report.seq;
      }
    });
  });

  it('fires each timer at most once, and only one that was set', () => {
    holds((events) => {
      const set = new Set<string>();
      const fired = new Set<string>();
      for (const { type, data } of events) {
        if (type === 'TimerSet') set.add(data.timerId);
        if (type !== 'TimerFired') continue;
        expect(set.has(data.timerId)).toBe(true);
        expect(fired.has(data.timerId)).toBe(false);
        fired.add(data.timerId);
      }
    });
  });

  it('never intends a call that is open, nor ends one that is not', () => {
    holds((events) => {
      const open = new Set<string>();
      for (const { type, data } of events) {
        if (type === 'RunRewound') open.clear();
        if (type === 'EffectIntended' || type === 'ModelCallIntended') {
          expect(open.has(data.call)).toBe(false);
          open.add(data.call);
        } else if (type === 'EffectConfirmed' || type === 'ModelCallCompleted') {
          expect(open.delete(data.call)).toBe(true);
        } else if (type === 'EffectFailed' || type === 'ModelCallFailed') {
          expect(open.has(data.call)).toBe(true);
          if (data.retryAtMs === undefined) open.delete(data.call);
        }
      }
    });
  });
});

it('an ended run never changes, whatever is asked of it', () => {
  fc.assert(
    fc.property(fc.constantFrom('workflow' as const, 'agent' as const), moves, moves, (kind, given, more) => {
      const before = playRun(kind, given);
      const last = before.states.at(-1);
      fc.pre(last?.status === 'ended');
      const after = playRun(kind, [...given, ...more]);
      expect(after.events).toEqual(before.events);
    }),
    SEEDS,
  );
});
