import type { EffectLimits, ProgressEntry, RunEvent } from '@perdure/run-contract';
import type { ToolManifest } from '@perdure/tenant-contract';
import {
  agentManifest,
  assigned,
  commandIdAt,
  deciderSpec,
  decision,
  fact,
  intendedEffect,
  knownCode,
  progress,
  reported,
  requested,
  specIdentities,
  START_MS,
  THREE_ATTEMPTS,
  toolManifest,
  workflowManifest,
} from '@perdure/testing';
import type { DomainCommand } from '../run.commands';
import { runDecider } from '../run.decider';
import { pendingEffects } from '../run.effects';

const decider = runDecider(specIdentities);
const given = deciderSpec(decider, pendingEffects);

const busy = { code: 'Busy', message: 'later', reaction: 'retryable' as const };
const LATER_MS = START_MS + 5_000;
const TOTAL_MS = 10_000;
const ada = { kind: 'user' as const, id: 'ada' };

const codeWith = (limits: EffectLimits, tool: Partial<ToolManifest> = {}, kind: 'agent' | 'workflow' = 'workflow') => {
  const { onExhausted, ...timeouts } = limits;
  const pay = toolManifest('pay', { timeouts, ...(onExhausted === undefined ? {} : { onExhausted }), ...tool });
  return knownCode(kind === 'agent' ? agentManifest() : workflowManifest(), [pay]);
};
const report = (code: ReturnType<typeof knownCode>, nowMs: number, ...entries: readonly ProgressEntry[]) => ({
  ...progress({ nowMs }, ...entries),
  code,
});
const own = (command: DomainCommand, nowMs: number, code = codeWith({})) => ({
  command,
  at: { nowMs, commandId: commandIdAt(nowMs, 7), fraction: 0.5 },
  code,
});
const first = (...events: readonly RunEvent[]) => events.map((event) => reported(1, 1, event));
const failure = (attempt: number, asks = true): ProgressEntry => ({
  type: 'effect-result',
  call: '1',
  attempt,
  outcome: { ok: false, error: busy },
  ...(asks ? { asks: true } : {}),
});

const intended = (limits: EffectLimits) => [requested(), assigned(), intendedEffect('1', { limits })];
const retryAt = (attempt: number, dueAtMs: number) => [
  fact('EffectFailed', { call: '1', attempt, error: busy, retryAtMs: dueAtMs }),
  fact('TimerSet', { timerId: `retry-1-${attempt}`, purpose: 'retry', call: '1', dueAtMs }),
];
const fired = (timerId: string, dueAtMs: number) => fact('TimerFired', { timerId, dueAtMs });
const setTimer = (purpose: 'start' | 'total', dueAtMs: number, attempt = 1) =>
  fact('TimerSet', { timerId: `${purpose}-1-${attempt}`, purpose, call: '1', dueAtMs });
/** Twice failed, so that the third attempt is the last. */
const lastAttempt = (limits: EffectLimits) => [
  ...intended(limits),
  ...retryAt(1, START_MS + 10),
  fired('retry-1-1', START_MS + 10),
  ...retryAt(2, START_MS + 20),
  fired('retry-1-2', START_MS + 20),
];
const deadLettered = (attempt = 3, because: 'attempts' | 'total' | 'schedule-to-start' = 'attempts') =>
  fact('EffectDeadLettered', {
    call: '1',
    tool: 'pay',
    effectClass: 'idempotent',
    args: { amount: 5 },
    attempt,
    because,
    error: busy,
  });
const errorOf = (because: string, attempts: number, says: string) => ({
  code: 'EffectExhausted',
  message: `pay ${says}. The last error was Busy: later`,
  reaction: 'terminal' as const,
  details: { because, attempts, lastError: { code: 'Busy', message: 'later' } },
});
const byAda = (nowMs: number) => ({ by: 'user:ada', commandId: commandIdAt(nowMs, 7) });

describe('an effect whose attempts are used up', () => {
  it('of a tool that declares nothing fails with the error of the last attempt, as its worker knows', () => {
    given(...lastAttempt({}))
      .when(report(codeWith({}), LATER_MS, failure(3, false)))
      .then(...first(fact('EffectFailed', { call: '1', attempt: 3, error: busy })));
  });

  it('fails with a typed error that names the attempts and the last error, if its tool declares so', () => {
    given(...lastAttempt({ onExhausted: 'fail' }))
      .when(report(codeWith({ onExhausted: 'fail' }), LATER_MS, failure(3)))
      .then(
        ...first(
          fact('EffectFailed', {
            call: '1',
            attempt: 3,
            error: errorOf('attempts', 3, 'has used its attempts'),
            exhausted: 'attempts',
          }),
        ),
      );
  });

  it('waits among the dead letters, if its tool declares so', () => {
    given(...lastAttempt({ onExhausted: 'dead-letter' }))
      .when(report(codeWith({ onExhausted: 'dead-letter' }), LATER_MS, failure(3)))
      .then(...first(deadLettered()));
  });

  it('is not put there behind the back of a worker that has given the code the error already', () => {
    given(...lastAttempt({ onExhausted: 'dead-letter' }))
      .when(report(codeWith({ onExhausted: 'dead-letter' }), LATER_MS, failure(3, false)))
      .then(...first(fact('EffectFailed', { call: '1', attempt: 3, error: busy })));
  });

  it('reaches the code of a workflow when it has come to rest, since its owner has ended it', () => {
    const limits = { onExhausted: 'fail' as const };
    const end = reported(1, 1, fact('EffectFailed', { call: '1', attempt: 3, error: busy, exhausted: 'attempts' }));
    given(...lastAttempt(limits), end)
      .when({ ...progress({ seq: 2 }, { type: 'delivered', call: '1', revision: 9 }), code: codeWith(limits) })
      .then(reported(1, 2, fact('StepsRecorded', { entries: [{ type: 'delivered', call: '1', revision: 9 }] })));
  });
});

describe('an error that its tool names as not worth another attempt', () => {
  it('ends the call at once', () => {
    const retry = { ...THREE_ATTEMPTS, nonRetryable: ['Busy'] };
    given(...intended({ onExhausted: 'dead-letter' }))
      .when(report(codeWith({ onExhausted: 'dead-letter' }, { retry }), LATER_MS, failure(1, false)))
      .then(...first(fact('EffectFailed', { call: '1', attempt: 1, error: busy })));
  });
});

describe('the time given to all attempts', () => {
  const limits = { totalMs: TOTAL_MS };
  const end = START_MS + TOTAL_MS;
  const code = codeWith(limits);

  it('is counted from the intention, by a timer of the run', () => {
    const intend: ProgressEntry = {
      type: 'effect-intended',
      call: '1',
      tool: 'pay',
      args: { amount: 5 },
      argsHash: 'hash-of-args',
    };
    given(requested(), assigned())
      .when(report(code, START_MS, intend))
      .then(...first(intendedEffect('1', { limits }), setTimer('total', end)));
  });

  it('ends the call when the next attempt would be later', () => {
    const error = errorOf('total', 1, 'has used the time that is given to all of its attempts');
    given(...intended(limits), setTimer('total', end))
      .when(report(code, end - 1, failure(1)))
      .then(
        ...first(
          fact('EffectFailed', { call: '1', attempt: 1, error, exhausted: 'total' }),
          fact('TimerCancelled', { timerId: 'total-1-1' }),
        ),
      );
  });

  it('ends a call that waits for its next attempt, and wakes its run', () => {
    const error = errorOf('total', 1, 'has used the time that is given to all of its attempts');
    given(
      ...intended(limits),
      setTimer('total', end),
      ...retryAt(1, end + 1_000),
      reported(1, 1, fact('RunSuspended', { epoch: 1 })),
    )
      .when(own({ type: 'FireTimer', timerId: 'total-1-1' }, end))
      .then(
        fired('total-1-1', end),
        fact('EffectFailed', { call: '1', attempt: 1, error, exhausted: 'total' }),
        fact('TimerCancelled', { timerId: 'retry-1-1' }),
        fact('RunWoken', { preferredWorkerId: 'worker-1' }),
      );
  });

  it('lets an attempt that is under way come to its end', () => {
    given(...intended(limits), setTimer('total', end))
      .when(own({ type: 'FireTimer', timerId: 'total-1-1' }, end))
      .then(fired('total-1-1', end));
  });

  it('lets no other worker begin the attempt that was lost', () => {
    const place = { type: 'PlaceRun' as const, workerId: 'worker-2', sessionId: 'session-2', buildId: 'build-1' };
    given(...intended(limits), setTimer('total', end), fact('ActivationLost', { epoch: 1, reason: 'worker-lost' }))
      .when(own(place, end + 1, code))
      .then(
        fact('EffectFailed', {
          call: '1',
          attempt: 1,
          error: {
            code: 'EffectExhausted',
            message: 'pay has used the time that is given to all of its attempts.',
            reaction: 'terminal',
            details: { because: 'total', attempts: 0 },
          },
          exhausted: 'total',
        }),
        fact('TimerCancelled', { timerId: 'total-1-1' }),
        assigned(2, { workerId: 'worker-2', sessionId: 'session-2', assignedAtMs: end + 1 }),
      );
  });
});

describe('the time that an attempt may wait to be begun', () => {
  const limits = { scheduleToStartMs: 2_000, onExhausted: 'dead-letter' as const };
  const due = START_MS + 2_000;
  const code = codeWith(limits, { effectClass: 'irreversible' });
  const waiting = [requested(), assigned(), intendedEffect('1', { limits, effectClass: 'irreversible' }), setTimer('start', due)];

  it('sends what nobody has begun to the dead letters', () => {
    given(...waiting)
      .when(own({ type: 'FireTimer', timerId: 'start-1-1' }, due, code))
      .then(
        fired('start-1-1', due),
        fact('EffectDeadLettered', {
          call: '1',
          tool: 'pay',
          effectClass: 'irreversible',
          args: { amount: 5 },
          attempt: 1,
          because: 'schedule-to-start',
          error: {
            code: 'EffectExhausted',
            message: 'pay was not begun in the time that it may wait for a worker; it did not happen.',
            reaction: 'terminal',
            details: { because: 'schedule-to-start', attempts: 0 },
          },
        }),
      );
  });

  it('lets no claim begin what has waited too long, although no timer has said so', () => {
    const events = given(...waiting)
      .when(report(code, due, { type: 'effect-claimed', call: '1', attempt: 1, executionId: 'x1' }))
      .accepted();
    expect(events.map(({ type }) => type)).toEqual(['EffectDeadLettered', 'TimerCancelled']);
  });

  it('says nothing of what was begun in time', () => {
    const dispatched = fact('EffectDispatched', {
      call: '1',
      attempt: 1,
      executionId: 'x1',
      startByMs: due,
      overByMs: due + 5_000,
      hasProbe: false,
    });
    given(...waiting, dispatched)
      .when(own({ type: 'FireTimer', timerId: 'start-1-1' }, due, code))
      .then(fired('start-1-1', due));
  });

  it('is counted anew when an attempt is due again', () => {
    given(...waiting, ...retryAt(1, due - 500))
      .when(own({ type: 'FireTimer', timerId: 'retry-1-1' }, due - 100, code))
      .then(fired('retry-1-1', due - 500), setTimer('start', due + 1_900, 2));
  });
});

describe('a dead letter', () => {
  const limits = { totalMs: TOTAL_MS, onExhausted: 'dead-letter' as const };
  const dead = [...lastAttempt(limits), reported(1, 1, deadLettered())];
  const suspended = [...dead, reported(1, 2, fact('RunSuspended', { epoch: 1 }))];
  const redrive = { type: 'RedriveEffect' as const, call: '1', by: ada };
  const giveUp = { type: 'GiveUpEffect' as const, call: '1', by: ada };

  it('is tried again by a person, in a new series with all its attempts and all its time', () => {
    given(...suspended)
      .when(own({ ...redrive, reason: 'the bank is back' }, LATER_MS))
      .then(
        fact('EffectRedriven', { call: '1', attempt: 4, ...byAda(LATER_MS), reason: 'the bank is back' }),
        setTimer('total', LATER_MS + TOTAL_MS, 4),
        fact('RunWoken', { preferredWorkerId: 'worker-1' }),
      );
  });

  it('that was tried again is retried as in the first series', () => {
    const again = { ...fact('EffectRedriven', { call: '1', attempt: 4, ...byAda(LATER_MS) }), atMs: LATER_MS };
    given(...dead, again)
      .when({ ...progress({ seq: 2, nowMs: LATER_MS }, failure(4)), code: codeWith(limits) })
      .then(...retryAt(4, LATER_MS + 50).map((event) => reported(1, 2, event)));
  });

  it('is tried again once, however often it is said', () => {
    const again = fact('EffectRedriven', { call: '1', attempt: 4, ...byAda(LATER_MS) });
    given(...dead, again)
      .when(own(redrive, LATER_MS))
      .thenNothing();
  });

  it('is given up by a person, and its caller given the error', () => {
    given(...suspended)
      .when(own(giveUp, LATER_MS))
      .then(
        fact('EffectGivenUp', { call: '1', attempt: 3, ...byAda(LATER_MS) }),
        fact('EffectFailed', {
          call: '1',
          attempt: 3,
          error: errorOf('given-up', 3, 'was given up by a person'),
          exhausted: 'given-up',
        }),
        fact('RunWoken', { preferredWorkerId: 'worker-1' }),
      );
  });

  it('is decided about by nobody but a person', () => {
    given(...dead)
      .when(own({ ...redrive, by: { kind: 'worker', id: 'worker-1' } }, LATER_MS))
      .thenRejected('OnlyAPersonMay');
  });

  it('is what the effect must be: another cannot be tried again', () => {
    given(...lastAttempt(limits))
      .when(own(redrive, LATER_MS))
      .thenRejected('EffectNotDeadLettered');
  });

  it('is not begun by a claim that comes too late, also when it is tried again meanwhile', () => {
    const code = codeWith(limits, { effectClass: 'irreversible' });
    const waiting = [requested(), assigned(), intendedEffect('1', { limits, effectClass: 'irreversible' })];
    const lying = fact('EffectDeadLettered', { ...deadLettered(1).data, effectClass: 'irreversible' });
    const again = fact('EffectRedriven', { call: '1', attempt: 2, ...byAda(LATER_MS) });
    const claim: ProgressEntry = { type: 'effect-claimed', call: '1', attempt: 1, executionId: 'x1' };
    const late = fact('EffectNotStarted', { call: '1', attempt: 1, executionId: 'x1', reason: 'too-late' });
    for (const facts of [[lying], [lying, again]])
      given(...waiting, ...facts)
        .when(report(code, LATER_MS, claim))
        .then(...first(late));
  });

  it('of an agent that is given up leads to its next turn', () => {
    const code = codeWith(limits, {}, 'agent');
    const asked = decision({ toolCalls: [{ toolCallId: 'c1', tool: 'pay', args: { amount: 5 } }] });
    const facts = [
      requested({ kind: 'agent' }),
      assigned(),
      fact('ModelCallIntended', { call: 't1', turn: 1, model: 'scripted-1' }),
      fact('ModelCallCompleted', { call: 't1', attempt: 1, decision: asked }),
      intendedEffect('t1.0', { limits, toolCallId: 'c1' }),
      fact('EffectDeadLettered', { ...deadLettered(1).data, call: 't1.0' }),
    ];
    const events = given(...facts)
      .when(own({ ...giveUp, call: 't1.0' }, LATER_MS, code))
      .accepted();
    expect(events.map(({ type }) => type)).toEqual(['EffectGivenUp', 'EffectFailed', 'ModelCallIntended']);
  });
});
