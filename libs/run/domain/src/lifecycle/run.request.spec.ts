import type { RunCommandOf } from '@perdure/run-contract';
import {
  agentManifest,
  assigned,
  commandIdAt,
  deadlineSet,
  deciderSpec,
  fact,
  knownCode,
  lost,
  reported,
  requested,
  sleepSet,
  specIdentities,
  START_MS,
} from '@perdure/testing';
import type { DomainCommand, KnownCode, RequestRun } from '../run.commands';
import { runDecider } from '../run.decider';
import { pendingEffects } from '../run.effects';

const given = deciderSpec(runDecider(specIdentities), pendingEffects);

function at(command: DomainCommand, nowMs = START_MS, code: KnownCode = knownCode(agentManifest())) {
  return { command, at: { nowMs, commandId: commandIdAt(nowMs), fraction: 0.5 }, code };
}

const request: RequestRun = {
  type: 'RequestRun',
  kind: 'workflow',
  name: 'invoice',
  pool: 'default',
  input: { n: 1 },
  requestHash: 'hash-of-request',
  deadlineMs: undefined,
};

const release: RunCommandOf<'ReleaseRun'> = {
  type: 'ReleaseRun',
  permitId: 'permit-1',
  term: 3,
  workerId: 'worker-1',
  sessionId: 'session-1',
  buildId: 'build-1',
  notAfterMs: START_MS + 1_000,
};

const REFUSE: RunCommandOf<'RefuseRun'> = { type: 'RefuseRun', code: 'PoolQueueFull', message: 'full', retryAfterMs: 500 };
const PLACE: DomainCommand = { type: 'PlaceRun', workerId: 'worker-2', sessionId: 'session-2', buildId: 'build-1' };
const queued = [requested()];
const active = [requested(), assigned()];

describe('a request', () => {
  it('begins a run', () => {
    given().when(at(request)).then(requested());
  });

  it('with a deadline sets its timer in the same breath', () => {
    given()
      .when(at({ ...request, deadlineMs: 60_000 }))
      .then(requested({ deadlineAtMs: START_MS + 60_000 }), deadlineSet());
  });

  it('repeated changes nothing, whatever has become of the run', () => {
    given(...queued)
      .when(at(request))
      .thenNothing();
    given(...active)
      .when(at(request))
      .thenNothing();
    given(...active, fact('RunCompleted', { output: 1, endedAtMs: START_MS }))
      .when(at(request))
      .thenNothing();
  });

  it('for another thing under the same id is refused, also after the end', () => {
    const other = at({ ...request, requestHash: 'other' });
    given(...queued)
      .when(other)
      .thenRejected('RunAlreadyExists');
    given(...active, fact('RunCompleted', { output: 1, endedAtMs: START_MS }))
      .when(other)
      .thenRejected('RunAlreadyExists');
  });

  it.each<DomainCommand>([
    release,
    REFUSE,
    PLACE,
    { type: 'LoseActivation', epoch: 1, reason: 'worker-lost' },
    { type: 'CancelRun', reason: 'no' },
    { type: 'EnforceCancel', epoch: 1 },
    { type: 'ResumeRun', reason: 'go' },
    { type: 'FireTimer', timerId: '1' },
    { type: 'RecordProgress', epoch: 1, seq: 1, entries: [] },
  ])('is what every other command needs first: $type', (command) => {
    given().when(at(command)).thenRejected('RunNotFound');
  });
});

describe('a release', () => {
  it('assigns a queued run under its permit', () => {
    given(...queued)
      .when(at(release))
      .then(assigned());
    given(...active).thenPending([{ type: 'KeepActivation', epoch: 1, workerId: 'worker-1', sessionId: 'session-1' }]);
  });

  it('lets an agent begin its loop, once', () => {
    const agent = requested({ kind: 'agent', name: 'helper' });
    const call = fact('ModelCallIntended', { call: 't1', turn: 1, model: 'scripted-1' });
    given(agent).when(at(release)).then(assigned(), call);
    const woken = [agent, assigned(), call, fact('RunSuspended', { epoch: 1 }), fact('RunWoken', {})];
    given(...woken)
      .when(at(release))
      .then(assigned(2));
  });

  it('repeated with the same permit changes nothing', () => {
    given(...active)
      .when(at(release))
      .thenNothing();
    given(...active, lost(1))
      .when(at(release))
      .thenNothing();
  });

  it('with another permit is refused while the run holds one', () => {
    given(...active)
      .when(at({ ...release, permitId: 'permit-2' }))
      .thenRejected('RunNotQueued');
  });

  it('is refused to a run that does not ask for capacity', () => {
    given(...active, sleepSet('1'), fact('RunSuspended', { epoch: 1 }))
      .when(at(release))
      .thenRejected('RunNotQueued');
  });

  it('of a leader whose term has ended is refused', () => {
    const again = [...active, fact('RunSuspended', { epoch: 1 }), fact('RunWoken', {})];
    given(...again)
      .when(at({ ...release, term: 2, permitId: 'p' }))
      .thenRejected('ReleaseSuperseded');
    given(...again)
      .when(at({ ...release, term: 4, permitId: 'p' }))
      .then(assigned(2, { term: 4, permitId: 'p' }));
  });

  it('that comes after its time is refused, at its very time it is not', () => {
    given(...queued)
      .when(at(release, START_MS + 1_001))
      .thenRejected('ReleaseExpired');
    given(...queued)
      .when(at(release, START_MS + 1_000))
      .then(assigned(1, { assignedAtMs: START_MS + 1_000 }));
  });
});

describe('a refusal by admission', () => {
  const refusedRun = fact('RunRefused', { code: 'PoolQueueFull', message: 'full', retryAfterMs: 500, endedAtMs: START_MS });

  it('ends a run that was never assigned', () => {
    given(...queued)
      .when(at(REFUSE))
      .then(refusedRun);
  });

  it('repeated changes nothing', () => {
    given(...queued, refusedRun)
      .when(at(REFUSE))
      .thenNothing();
  });

  it('cannot end a run that has begun', () => {
    given(...active)
      .when(at(REFUSE))
      .thenRejected('RunNotQueued');
    given(...active, fact('RunSuspended', { epoch: 1 }), fact('RunWoken', {}))
      .when(at(REFUSE))
      .thenRejected('RunNotQueued');
  });
});

describe('the loss of an activation', () => {
  const lose = (epoch: number, reason: 'worker-lost' | 'not-claimed' | 'worker-stalled' = 'worker-lost') =>
    at({ type: 'LoseActivation', epoch, reason });

  it('leaves the permit and asks for another worker', () => {
    given(...active)
      .when(lose(1))
      .then(lost(1));
    given(...active, lost(1)).thenPending([{ type: 'FindWorker' }]);
    given(...active, lost(1))
      .when(at(PLACE))
      .then(assigned(2, { workerId: 'worker-2', sessionId: 'session-2', buildId: 'build-1' }));
  });

  it('of an epoch that has passed changes nothing', () => {
    given(...active, lost(1), assigned(2))
      .when(lose(1))
      .thenNothing();
    given(...queued)
      .when(lose(1))
      .thenNothing();
  });

  it('asks nothing for a run that found its worker meanwhile', () => {
    given(...active)
      .when(at(PLACE))
      .thenNothing();
    given(...queued)
      .when(at(PLACE))
      .thenNothing();
  });

  const twice = [...active, lost(1), assigned(2), lost(2, 'worker-stalled'), assigned(3)];
  const quarantined = fact('RunQuarantined', { epoch: 3, activationsLost: 3 });

  it('three times without progress quarantines the run', () => {
    given(...twice)
      .when(lose(3))
      .then(lost(3), quarantined);
    given(...twice, lost(3), quarantined).thenPending([]);
  });

  it('counts from the last progress', () => {
    const step = fact('StepsRecorded', { entries: [{ type: 'value', call: '1', name: 'now', value: 1 }] });
    given(...twice, reported(3, 1, step))
      .when(lose(3))
      .then(lost(3));
  });

  it('counts from the last time that a worker let go in good order', () => {
    const letGo = reported(3, 1, fact('RunSuspended', { epoch: 3 }));
    given(...twice, letGo, fact('RunWoken', {}), assigned(4))
      .when(lose(4))
      .then(lost(4));
  });

  it('does not count when nobody claimed the epoch', () => {
    given(...twice)
      .when(lose(3, 'not-claimed'))
      .then(lost(3, 'not-claimed'));
    given(...active, lost(1), assigned(2), lost(2, 'refused'), assigned(3))
      .when(lose(3))
      .then(lost(3));
  });

  it('of a cancelled run ends it', () => {
    const cancel = fact('RunCancelRequested', { reason: 'no', commandId: commandIdAt(START_MS), requestedAtMs: START_MS });
    given(...active, cancel)
      .when(lose(1))
      .then(lost(1), fact('RunCancelled', { reason: 'no', endedAtMs: START_MS }));
  });
});
