import type { ProgressEntry, RunEvent } from '@perdure/run-contract';
import {
  assigned,
  commandIdAt,
  deadlineSet,
  deciderSpec,
  fact,
  intendedEffect,
  knownCode,
  lost,
  requested,
  sleepSet,
  specIdentities,
  START_MS,
  workflowManifest,
} from '@perdure/testing';
import { CANCEL_GRACE_MS, COMMAND_IDS_KEPT, COMMAND_IDS_KEPT_MS, PAUSE_GRACE_MS } from '../bounds';
import type { DomainCommand } from '../run.commands';
import { runDecider } from '../run.decider';
import { instructionsOf, pendingEffects } from '../run.effects';
import { evolve } from '../run.evolve';
import { noRun, type RunState } from '../run.state';

const given = deciderSpec(runDecider(specIdentities), pendingEffects);
const ID = commandIdAt(START_MS, 7);

function at(command: DomainCommand, nowMs = START_MS, commandId = ID) {
  return { command, at: { nowMs, commandId, fraction: 0.5 }, code: knownCode(workflowManifest()) };
}

const report = (...entries: readonly ProgressEntry[]) => at({ type: 'RecordProgress', epoch: 1, seq: 1, entries: [...entries] });
const active = [requested(), assigned()];
const suspended = [...active, sleepSet('1'), fact('RunSuspended', { epoch: 1 })];
const divergence = { call: '2', expected: 'tool pay', found: 'step total', position: 4 };
const paused = [...active, fact('CodeDiverged', { epoch: 1, buildId: 'build-1', divergence })];
const cancelAsked = fact('RunCancelRequested', { reason: 'no', commandId: ID, requestedAtMs: START_MS });
const cancelled = fact('RunCancelled', { reason: 'no', endedAtMs: START_MS });
const CANCEL = at({ type: 'CancelRun', reason: 'no' });
const COMPLETED = fact('RunCompleted', { output: 1, endedAtMs: START_MS });

describe('a cancel', () => {
  it.each<[string, readonly RunEvent[]]>([
    ['queued', [requested()]],
    ['between two workers', [...active, lost(1)]],
    ['suspended', suspended],
    ['paused', paused],
  ])('ends at once a run that is %s', (_, facts) => {
    given(...facts)
      .when(CANCEL)
      .then(cancelAsked, cancelled);
  });

  it('asks the worker of an active run, and is enforced after a while', () => {
    given(...active)
      .when(CANCEL)
      .then(cancelAsked);
    given(...active, cancelAsked).thenPending([
      { type: 'KeepActivation', epoch: 1, workerId: 'worker-1', sessionId: 'session-1' },
      { type: 'EnforceCancel', epoch: 1, atMs: START_MS + CANCEL_GRACE_MS },
    ]);
    given(...active, cancelAsked)
      .when(at({ type: 'EnforceCancel', epoch: 1 }))
      .then(cancelled);
  });

  it('is not enforced on a run that nobody cancelled, nor on a later epoch', () => {
    given(...active)
      .when(at({ type: 'EnforceCancel', epoch: 1 }))
      .thenNothing();
    given(...active, lost(1), assigned(2), cancelAsked)
      .when(at({ type: 'EnforceCancel', epoch: 1 }))
      .thenNothing();
  });

  it.each<[string, ProgressEntry]>([
    ['says so', { type: 'cancelled' }],
    ['lets go', { type: 'suspended' }],
    ['diverges', { type: 'diverged', divergence }],
  ])('ends the run when its worker %s', (_, entry) => {
    const ended = { ...cancelled, report: { epoch: 1, seq: 1 } };
    given(...active, cancelAsked)
      .when(report(entry))
      .then(ended);
  });

  it('ends the run when its worker hands over', () => {
    const mark = { report: { epoch: 1, seq: 1 } };
    given(...active, cancelAsked)
      .when(report({ type: 'handed-over' }))
      .then({ ...fact('ActivationLost', { epoch: 1, reason: 'handed-over' }), ...mark }, { ...cancelled, ...mark });
  });

  it('is nothing that a worker may invent', () => {
    given(...active)
      .when(report({ type: 'cancelled' }))
      .thenRejected('UnknownCall');
  });

  it('does not undo what came first', () => {
    const completed = { ...COMPLETED, report: { epoch: 1, seq: 1 } };
    given(...active, cancelAsked)
      .when(report({ type: 'completed', output: 1 }))
      .then(completed);
  });

  it('repeated, or asked by another, changes nothing', () => {
    given(...active, cancelAsked)
      .when(CANCEL)
      .thenNothing();
    given(...active, cancelAsked)
      .when(at({ type: 'CancelRun', reason: 'me too' }, START_MS, commandIdAt(START_MS, 8)))
      .thenNothing();
    given(...active, cancelAsked, cancelled)
      .when(CANCEL)
      .thenNothing();
  });

  it('of a run that ended otherwise is refused, unless it is a repeat', () => {
    given(...active, COMPLETED)
      .when(CANCEL)
      .thenRejected('RunAlreadyEnded');
    given(...active, cancelAsked, COMPLETED)
      .when(CANCEL)
      .thenNothing();
  });
});

describe('a pause', () => {
  const resumed = fact('RunResumed', { reason: 'go', commandId: ID });
  const RESUME = at({ type: 'ResumeRun', reason: 'go' });

  it('ends when somebody resumes the run: it asks for capacity again', () => {
    given(...paused)
      .when(RESUME)
      .then(resumed);
    given(...paused).thenPending([]);
  });

  it('is what a resume needs', () => {
    given(...active)
      .when(RESUME)
      .thenRejected('RunNotPaused');
    given(requested()).when(RESUME).thenRejected('RunNotPaused');
    given(...active, COMPLETED)
      .when(RESUME)
      .thenRejected('RunAlreadyEnded');
  });

  it('is ended by a repeated resume only once', () => {
    given(...paused, resumed)
      .when(RESUME)
      .thenNothing();
    given(...paused, resumed, assigned(2), fact('CodeDiverged', { epoch: 2, buildId: 'build-1', divergence }))
      .when(RESUME)
      .thenNothing();
  });

  it('lets timers fire', () => {
    const facts = [...active, sleepSet('1'), fact('CodeDiverged', { epoch: 1, buildId: 'build-1', divergence })];
    given(...facts)
      .when(at({ type: 'FireTimer', timerId: '1' }, START_MS + 1_000))
      .then(fact('TimerFired', { timerId: '1', dueAtMs: START_MS + 1_000 }));
  });
});

describe('a pause that somebody asks for', () => {
  const PAUSE = at({ type: 'PauseRun', reason: 'look' });
  const RESUME = at({ type: 'ResumeRun', reason: 'go' }, START_MS, commandIdAt(START_MS, 8));
  const asked = fact('RunPauseRequested', { reason: 'look', commandId: ID, requestedAtMs: START_MS });
  const held = fact('RunPaused', { reason: 'look' });
  const resumed = fact('RunResumed', { reason: 'go', commandId: commandIdAt(START_MS, 8) });
  const mark = { report: { epoch: 1, seq: 1 } };

  it.each<[string, readonly RunEvent[]]>([
    ['queued', [requested()]],
    ['between two workers', [...active, lost(1)]],
    ['suspended', suspended],
  ])('holds at once a run that is %s', (_, facts) => {
    given(...facts)
      .when(PAUSE)
      .then(asked, held);
    given(...facts, asked, held).thenPending([]);
  });

  it('lets the worker of an active run finish, begins nothing new, and is enforced after a while', () => {
    given(...active)
      .when(PAUSE)
      .then(asked);
    const underWay = [...active, intendedEffect('1'), asked];
    given(...underWay).thenPending([
      { type: 'KeepActivation', epoch: 1, workerId: 'worker-1', sessionId: 'session-1' },
      { type: 'EnforcePause', epoch: 1, atMs: START_MS + PAUSE_GRACE_MS },
    ]);
    expect(instructionsOf(underWay.reduce<RunState>(evolve, noRun))).toEqual([]);
    given(...underWay)
      .when(at({ type: 'EnforcePause', epoch: 1 }))
      .then(fact('ActivationLost', { epoch: 1, reason: 'paused' }), held);
  });

  it.each<[string, ProgressEntry, RunEvent]>([
    ['hands over', { type: 'handed-over' }, fact('ActivationLost', { epoch: 1, reason: 'handed-over' })],
    ['waits', { type: 'suspended' }, fact('RunSuspended', { epoch: 1 })],
  ])('holds the run when its worker %s', (_, entry, letGo) => {
    given(...active, sleepSet('1'), asked)
      .when(report(entry))
      .then({ ...letGo, ...mark }, { ...held, ...mark });
  });

  it('holds a run that waits for nothing but the end of the pause', () => {
    given(...active, asked)
      .when(report({ type: 'suspended' }))
      .then({ ...fact('RunSuspended', { epoch: 1 }), ...mark }, { ...held, ...mark });
  });

  it('holds the run when its worker dies, and counts nothing against it', () => {
    given(...active, asked)
      .when(at({ type: 'LoseActivation', epoch: 1, reason: 'worker-lost' }))
      .then(lost(1), held);
  });

  it('is taken back by a resume, also before the worker has let go', () => {
    given(...active, asked)
      .when(RESUME)
      .then(resumed);
    given(...active, asked, resumed)
      .when(at({ type: 'EnforcePause', epoch: 1 }))
      .thenNothing();
    given(...active, asked, resumed)
      .when(report({ type: 'handed-over' }))
      .then({ ...fact('ActivationLost', { epoch: 1, reason: 'handed-over' }), ...mark });
    given(...suspended, asked, held)
      .when(RESUME)
      .then(resumed);
  });

  it('gives what was open to the next worker again', () => {
    const facts = [...active, intendedEffect('1'), asked, fact('ActivationLost', { epoch: 1, reason: 'paused' }), held];
    const state = [...facts, resumed, assigned(2)].reduce<RunState>(evolve, noRun);
    expect(instructionsOf(state)).toMatchObject([{ do: 'run-tool', call: '1', attempt: 1 }]);
  });

  it('asked for twice, or of a run that is paused, changes nothing', () => {
    const another = at({ type: 'PauseRun', reason: 'me too' }, START_MS, commandIdAt(START_MS, 9));
    given(...active, asked)
      .when(another)
      .thenNothing();
    given(...paused)
      .when(another)
      .thenNothing();
    given(...active, COMPLETED)
      .when(PAUSE)
      .thenRejected('RunAlreadyEnded');
  });

  it('does not outlive a cancel', () => {
    given(...active, asked, cancelAsked)
      .when(report({ type: 'handed-over' }))
      .then({ ...fact('ActivationLost', { epoch: 1, reason: 'handed-over' }), ...mark }, { ...cancelled, ...mark });
  });
});

const inDoubt = (unknown: readonly { call: string; what: string }[]) =>
  unknown.length === 0 ? {} : { effects: { undone: [], notUndone: [], stays: [], unknown: [...unknown] } };

describe('a termination', () => {
  const TERMINATE = at({ type: 'TerminateRun', reason: 'wild' });

  it.each<[string, readonly RunEvent[], readonly { call: string; what: string }[]]>([
    ['queued', [requested()], []],
    ['active', [...active, intendedEffect('1')], [{ call: '1', what: 'pay' }]],
    ['suspended', suspended, [{ call: '1', what: 'sleep' }]],
    ['paused', paused, []],
  ])('ends at once a run that is %s, and names what was open', (_, facts, leftOpen) => {
    const doubt = inDoubt(leftOpen.filter(({ what }) => what === 'pay'));
    const terminated = fact('RunTerminated', { reason: 'wild', leftOpen: [...leftOpen], endedAtMs: START_MS, ...doubt });
    given(...facts)
      .when(TERMINATE)
      .then(terminated);
    given(...facts, terminated)
      .when(TERMINATE)
      .thenNothing();
  });

  it('does not undo an end', () => {
    given(...active, COMPLETED)
      .when(TERMINATE)
      .thenRejected('RunAlreadyEnded');
  });
});

describe('command ids', () => {
  /** A run that was paused and resumed over and over, `everyMs` apart. */
  function resumedOften(times: number, everyMs: number): RunEvent[] {
    const facts: RunEvent[] = [...active];
    for (let n = 1; n <= times; n += 1) {
      facts.push(fact('CodeDiverged', { epoch: n, buildId: 'build-1', divergence }));
      facts.push(fact('RunResumed', { reason: 'go', commandId: commandIdAt(START_MS + n * everyMs, n) }), assigned(n + 1));
    }
    return [...facts, fact('CodeDiverged', { epoch: times + 1, buildId: 'build-1', divergence })];
  }
  const RESUME: DomainCommand = { type: 'ResumeRun', reason: 'go' };
  const dayApart = COMMAND_IDS_KEPT_MS;

  it('are remembered for a day, however many there are', () => {
    const facts = resumedOften(COMMAND_IDS_KEPT + 1, 10);
    given(...facts)
      .when(at(RESUME, START_MS, commandIdAt(START_MS + 10, 1)))
      .thenNothing();
  });

  it('are remembered by number, however old they are', () => {
    const facts = resumedOften(COMMAND_IDS_KEPT, dayApart);
    given(...facts)
      .when(at(RESUME, START_MS, commandIdAt(START_MS + dayApart, 1)))
      .thenNothing();
  });

  it('that may have been forgotten are refused, not handled twice', () => {
    const facts = resumedOften(COMMAND_IDS_KEPT + 1, dayApart);
    const first = commandIdAt(START_MS + dayApart, 1);
    given(...facts)
      .when(at(RESUME, START_MS, first))
      .thenRejected('CommandIdExpired');
    given(...facts)
      .when(at({ type: 'CancelRun', reason: 'no' }, START_MS, first))
      .thenRejected('CommandIdExpired');
    given(...facts)
      .when(at(RESUME, START_MS, commandIdAt(START_MS + 2 * dayApart, 2)))
      .thenNothing();
  });
});

describe('a timer', () => {
  const fire = (timerId: string, nowMs: number) => at({ type: 'FireTimer', timerId }, nowMs);
  const fired = fact('TimerFired', { timerId: '1', dueAtMs: START_MS + 1_000 });

  it('fires when it is due, not a millisecond before', () => {
    given(...active, sleepSet('1'))
      .when(fire('1', START_MS + 999))
      .thenRejected('TimerNotDue');
    given(...active, sleepSet('1'))
      .when(fire('1', START_MS + 1_000))
      .then(fired);
  });

  it('says how long to wait when asked early', () => {
    const decision = runDecider(specIdentities).decide(
      fire('1', START_MS + 400),
      [...active, sleepSet('1')].reduce(runDecider(specIdentities).evolve, runDecider(specIdentities).initial),
    );
    expect(decision).toMatchObject({ rejected: { reaction: 'retryable', retryAfterMs: 600 } });
  });

  it('wakes a suspended run, by preference where it is warm', () => {
    given(...suspended)
      .when(fire('1', START_MS + 1_000))
      .then(fired, fact('RunWoken', { preferredWorkerId: 'worker-1' }));
  });

  it('fires once', () => {
    given(...active, sleepSet('1'), fired)
      .when(fire('1', START_MS + 2_000))
      .thenNothing();
    given(...active, sleepSet('1'), fired, COMPLETED)
      .when(fire('1', START_MS + 2_000))
      .thenNothing();
  });

  it('that nobody knows is nothing left to do', () => {
    given(...active)
      .when(fire('9', START_MS))
      .thenNothing();
    given(...active, sleepSet('1'), fact('TimerCancelled', { timerId: '1' }))
      .when(fire('1', START_MS + 5_000))
      .thenNothing();
  });

  it.each<[string, readonly RunEvent[], readonly { call: string; what: string }[]]>([
    ['queued', [requested(), deadlineSet()], []],
    ['active', [requested(), deadlineSet(), assigned(), intendedEffect('1')], [{ call: '1', what: 'pay' }]],
    [
      'suspended',
      [requested(), deadlineSet(), assigned(), sleepSet('1', START_MS + 9e9), fact('RunSuspended', { epoch: 1 })],
      [],
    ],
  ])('that is the deadline ends a run that is %s, and names what is in doubt', (_, facts, unknown) => {
    const nowMs = START_MS + 60_005;
    given(...facts)
      .when(fire('deadline', nowMs))
      .then(
        fact('TimerFired', { timerId: 'deadline', dueAtMs: START_MS + 60_000 }),
        fact('RunTimedOut', { deadlineAtMs: START_MS + 60_000, endedAtMs: nowMs, ...inDoubt(unknown) }),
      );
  });
});
