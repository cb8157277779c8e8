import type { Executor, ProgressEntry, RunEvent } from '@perdure/run-contract';
import { assigned, fact, intendedEffect, lost, reported, requested, START_MS } from '@perdure/testing';
import { dispatched, first, given, intended, of, own, report, stateAfter, underWay } from './effect.world';
import { instructionsOf, progressAnswerOf } from '../run.effects';
import type { OpenRun } from '../run.state';
import { viewOf } from '../run.view';

/** What an execution says of how far it is, for whoever executes the effect next. */
const detail = { page: 41 };
const beat: ProgressEntry = { type: 'effect-progressed', call: '1', attempt: 1, detail };
const progressed = fact('EffectProgressed', { call: '1', attempt: 1, detail });
const confirmed = fact('EffectConfirmed', { call: '1', attempt: 1, result: 1 });
const repeatable = [requested(), assigned(), intendedEffect('1', { effectClass: 'idempotent' })];

describe('how far an execution is', () => {
  it('is a fact', () => {
    given(...repeatable)
      .when(report('probeable', beat))
      .then(...first(progressed));
    given(...underWay('irreversible'))
      .when(report('irreversible', beat))
      .then(...first(progressed));
  });

  it('is given to whoever executes it next, the newest of what was said', () => {
    const newer = fact('EffectProgressed', { call: '1', attempt: 1, detail: { page: 42 } });
    const after = [...repeatable, progressed, newer, lost(1), assigned(2)];
    expect(instructionsOf(stateAfter(...after))).toMatchObject([{ do: 'run-tool', call: '1', lastHeartbeat: { page: 42 } }]);
    expect(instructionsOf(stateAfter(...repeatable))[0]).not.toHaveProperty('lastHeartbeat');
  });

  it.each([
    ['an attempt before the present one', [...repeatable], { ...beat, attempt: 2 }],
    ['what was claimed by nobody', intended('irreversible'), beat],
    ['an attempt that has failed', [...repeatable, retryAt(START_MS + 5)], beat],
    ['an effect that is not open', [requested(), assigned()], beat],
  ] as const)('is no news, and no mistake, of %s', (_what, facts, said) => {
    given(...facts)
      .when(report('irreversible', said))
      .thenNothing();
  });

  it('is no progress: a run that ends every worker after it said something is found out', () => {
    const said = reported(2, 1, progressed);
    const facts = [...repeatable, lost(1), assigned(2)];
    const inARow = (...more: readonly RunEvent[]): unknown => (stateAfter(...facts, ...more) as OpenRun).lostInARow;
    expect([inARow(said), inARow(reported(2, 1, confirmed))]).toEqual([1, 0]);
  });

  it('uses up no number of a report when it is no news', () => {
    const command = { type: 'RecordProgress' as const, epoch: 1, seq: 1, entries: [{ ...beat, attempt: 2 }] };
    expect(progressAnswerOf(command, stateAfter(...repeatable)).seq).toBe(0);
    const after = stateAfter(...repeatable, reported(1, 1, progressed));
    expect(progressAnswerOf({ ...command, entries: [beat] }, after).seq).toBe(1);
  });

  it('is shown to who asks what the run waits for', () => {
    const { waitingOn } = viewOf({ tenant: 'acme', runId: 'r' }, stateAfter(...repeatable, progressed));
    expect(waitingOn.map(({ detail }) => detail)).toContainEqual(expect.stringContaining('attempt 1 said: {"page":41}'));
  });

  it('of a tool with a pool is said by its executor alone', () => {
    const executor: Executor = { pool: 'payments', workerId: 'teller-1', sessionId: 's', buildId: 'b', ticketHash: 'h' };
    const pooled = [
      requested(),
      assigned(),
      intendedEffect('1', { effectClass: 'idempotent', pool: 'payments' }),
      dispatched('irreversible', { executor, effectClass: 'idempotent' }),
    ];
    const by = (who: Executor) => {
      const base = own({ type: 'ReportEffect', ...of, executor: who, isOffered: true, entry: beat as never });
      const manifest = { ...base.code.tool('pay')!, pool: 'payments' };
      return { ...base, code: { ...base.code, tool: () => manifest } };
    };
    given(...pooled)
      .when(by(executor))
      .then(progressed);
    given(...pooled)
      .when(by({ ...executor, sessionId: 'other' }))
      .thenRejected('NotTheExecutor');
  });
});

function retryAt(retryAtMs: number) {
  return fact('EffectFailed', {
    call: '1',
    attempt: 1,
    error: { code: 'Busy', message: 'later', reaction: 'retryable' },
    retryAtMs,
  });
}
