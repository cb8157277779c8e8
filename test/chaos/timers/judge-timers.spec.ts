import type { LoggedFact } from '../../rig/log';
import { judgeTimers } from './judge-timers';

const DUE = 1_000;
let revision = 0;

function fact(type: string, data: Readonly<Record<string, unknown>>, recordedAtMs = DUE): LoggedFact {
  revision += 1;
  const position = { commit: `${revision}`, prepare: `${revision}` };
  return { id: `${revision}`, stream: 'run-default.r', type, revision, position, recordedAtMs, data, metadata: {} };
}
const set = fact('TimerSet', { timerId: '1', dueAtMs: DUE, purpose: 'sleep' });
const fired = (recordedAtMs: number) => fact('TimerFired', { timerId: '1', dueAtMs: DUE }, recordedAtMs);
const cancelled = fact('TimerCancelled', { timerId: '1' });

function verdictOn(...facts: readonly LoggedFact[]) {
  const { early, lost, doubled, fired: count, lateMaxMs } = judgeTimers(new Map([['r', facts]]), new Set(['r']));
  return { early, lost, doubled, count, lateMaxMs };
}

describe('timers are judged by the log', () => {
  it.each([
    ['fired when it was due', [set, fired(DUE + 5)], { count: 1, lateMaxMs: 5 }],
    ['was taken back', [set, cancelled], {}],
    ['fired early', [set, fired(DUE - 1)], { count: 1, early: 1 }],
    ['fired twice', [set, fired(DUE), fired(DUE + 9)], { count: 1, doubled: 1 }],
    ['never fired', [set], { lost: 1 }],
    ['was open when its run ended', [set, fact('RunCompleted', {}, DUE + 100)], {}],
  ] as const)('one that %s', (_, facts, found) => {
    expect(verdictOn(...facts)).toEqual({ early: 0, lost: 0, doubled: 0, count: 0, lateMaxMs: 0, ...found });
  });

  it('one of a run that has not ended is lost with it', () => {
    expect(judgeTimers(new Map([['r', [set, fired(DUE)]]]), new Set())).toMatchObject({ lost: 1 });
  });
});
