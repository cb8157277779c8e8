import {
  advanceAt,
  at,
  buffered,
  created,
  due,
  ended,
  given,
  MINUTE,
  minute,
  paused,
  skipped,
  spec,
  started,
  T0,
} from './schedule.world';

const end = (runId: string, nowMs: number, result: 'completed' | 'failed' | 'cancelled' = 'completed') =>
  at(nowMs, { type: 'EndFiring', runId, result });

const ordered = { start: { name: 'report', input: { n: 1 } }, by: 'ann' };

describe('a schedule', () => {
  it('is created once; the same again is the same, another is refused', () => {
    given()
      .when(at(T0, { type: 'CreateSchedule', spec: spec() }))
      .then(created());
    given(created())
      .when(at(minute(5), { type: 'CreateSchedule', spec: spec() }))
      .thenNothing();
    given(created())
      .when(at(T0, { type: 'CreateSchedule', spec: spec({ jitterMs: 1 }) }))
      .thenRejected('ScheduleAlreadyExists');
  });

  it('is refused when it would never fire, or says what is no pattern', () => {
    const never = spec({ when: [{ type: 'at', atMs: T0 }] });
    given()
      .when(at(T0, { type: 'CreateSchedule', spec: never }))
      .thenRejected('NeverFires');
    const wrong = spec({ when: [{ type: 'cron', expression: '61 * * * *' }] });
    given()
      .when(at(T0, { type: 'CreateSchedule', spec: wrong }))
      .thenRejected('InvalidCron');
    given(created())
      .when(at(T0, { type: 'UpdateSchedule', spec: never }))
      .thenRejected('NeverFires');
  });

  it('fires nothing before its time, and then once', () => {
    given(created())
      .when(advanceAt(minute(1) - 1))
      .thenNothing();
    given(created())
      .when(advanceAt(minute(1)))
      .then(due(1));
    given(created(), due(1))
      .when(advanceAt(minute(1)))
      .thenNothing();
  });

  it('fires no time again when the clock is set back', () => {
    given(created(), due(1), ended('run-1-1', minute(1)))
      .when(advanceAt(T0))
      .thenNothing();
    given(created(), due(1), ended('run-1-1', minute(1)))
      .when(advanceAt(minute(1) + 1))
      .thenNothing();
  });

  it('is late by its jitter, and never beyond the next time', () => {
    const how = { jitterMs: 10 * MINUTE };
    given(created(how))
      .when(advanceAt(minute(1) + MINUTE / 2 - 1))
      .thenNothing();
    given(created(how))
      .when(advanceAt(minute(1) + MINUTE / 2))
      .then(due(1, minute(1.5)));
  });

  it('starts what it says, until somebody has answered', () => {
    given(created(), due(1)).thenPending([{ type: 'StartRun', runId: 'run-1-1', ordered }]);
    given(created(), due(1), started('run-1-1', minute(1))).thenPending([]);
    given(created(), due(1))
      .when(at(minute(1), { type: 'NoteStarted', runId: 'run-1-1' }))
      .then(started('run-1-1', minute(1)));
    given(created(), due(1), started('run-1-1', minute(1)))
      .when(at(minute(2), { type: 'NoteStarted', runId: 'run-1-1' }))
      .thenNothing();
  });

  it('notes what is refused for good', () => {
    const error = { code: 'UnknownAgent', message: 'no', reaction: 'terminal' as const };
    given(created(), due(1))
      .when(at(minute(1), { type: 'NoteRefused', runId: 'run-1-1', error }))
      .then({ type: 'FiringRefused', data: { runId: 'run-1-1', error, atMs: minute(1) } });
  });

  it('ends with its last firing', () => {
    given(created({ firingsMax: 1 }), due(1), ended('run-1-1', minute(1)))
      .when(advanceAt(minute(2)))
      .thenNothing();
  });

  it('notes an end once, and of a run that it does not know none', () => {
    const facts = [created(), due(1)];
    given(...facts)
      .when(end('run-1-1', minute(1), 'failed'))
      .then(ended('run-1-1', minute(1), 'failed'));
    given(...facts, ended('run-1-1', minute(1)))
      .when(end('run-1-1', minute(1)))
      .thenNothing();
    given(...facts)
      .when(end('other', minute(1)))
      .thenNothing();
  });
});

describe('times that come while a run is under way', () => {
  const running = (overlap: Parameters<typeof spec>[0] = {}) => [created(overlap), due(1), started('run-1-1', minute(1))];

  it('skip: are skipped', () => {
    given(...running())
      .when(advanceAt(minute(3)))
      .then(skipped(2, minute(3)), skipped(3, minute(3)));
    given(...running(), skipped(2, minute(2)))
      .when(end('run-1-1', minute(2.5)))
      .then(ended('run-1-1', minute(2.5)));
  });

  it('buffer-one: the first waits, the others are skipped', () => {
    const how = { overlap: 'buffer-one' } as const;
    given(...running(how))
      .when(advanceAt(minute(3)))
      .then(buffered(2, minute(3)), skipped(3, minute(3)));
    given(...running(how), buffered(2, minute(2)))
      .when(end('run-1-1', minute(2.5)))
      .then(ended('run-1-1', minute(2.5)), due(2, minute(2.5), { wasBuffered: true }));
  });

  it('buffer-all: all wait, and begin one after another', () => {
    const how = { overlap: 'buffer-all' } as const;
    given(...running(how))
      .when(advanceAt(minute(3)))
      .then(buffered(2, minute(3)), buffered(3, minute(3)));
    given(...running(how), buffered(2, minute(2)), buffered(3, minute(3)))
      .when(end('run-1-1', minute(3.5)))
      .then(ended('run-1-1', minute(3.5)), due(2, minute(3.5), { wasBuffered: true }));
  });

  it('cancel-other: the run is cancelled, and the newest time begins at its end', () => {
    const how = { overlap: 'cancel-other' } as const;
    const cancels = { cancelsOther: true } as const;
    given(...running(how))
      .when(advanceAt(minute(2)))
      .then(buffered(2, minute(2), cancels));
    given(...running(how), buffered(2, minute(2), cancels)).thenPending([{ type: 'CancelRun', runId: 'run-1-1' }]);
    given(...running(how), buffered(2, minute(2), cancels))
      .when(advanceAt(minute(3)))
      .then(skipped(2, minute(3), { reason: 'replaced' }), buffered(3, minute(3), cancels));
    given(...running(how), buffered(2, minute(2), cancels))
      .when(end('run-1-1', minute(2.5), 'cancelled'))
      .then(ended('run-1-1', minute(2.5), 'cancelled'), due(2, minute(2.5), { wasBuffered: true }));
  });

  it('cancel-other: what was not started yet is started first', () => {
    const facts = [created({ overlap: 'cancel-other' }), due(1), buffered(2, minute(2), { cancelsOther: true })];
    given(...facts).thenPending([{ type: 'StartRun', runId: 'run-1-1', ordered }]);
    given(...facts, started('run-1-1', minute(2)), {
      type: 'FiringCancelRequested',
      data: { runId: 'run-1-1', atMs: minute(2) },
    }).thenPending([]);
  });

  it('allow-all: all of them run', () => {
    given(...running({ overlap: 'allow-all' }))
      .when(advanceAt(minute(2)))
      .then(due(2));
  });
});

describe('times that were missed', () => {
  const how = { overlap: 'allow-all', catchUpMs: 2 * MINUTE } as const;
  const missed = (first: number, until: number, atMs: number) =>
    ({
      type: 'FiringsMissed',
      data: { firstMs: minute(first), untilMs: minute(until), count: until - first + 1, atMs },
    }) as const;

  it('fire within the window, and are told as missed beyond it', () => {
    given(created(how))
      .when(advanceAt(minute(5)))
      .then(missed(1, 2, minute(5)), due(3, minute(5)), due(4, minute(5)), due(5));
  });

  it('are decided so many at once, and the others next', () => {
    const long = { ...how, catchUpMs: 24 * 60 * MINUTE };
    const first = given(created(long))
      .when(advanceAt(minute(120)))
      .accepted();
    expect(first).toHaveLength(50);
    given(created(long), ...first)
      .when(advanceAt(minute(120)))
      .accepted();
    expect(
      given(created(long), ...first)
        .when(advanceAt(minute(120)))
        .accepted()[0],
    ).toEqual(due(51, minute(120)));
  });

  it('of a long outage are not counted to the end', () => {
    const [fact, ...others] = given(created(how))
      .when(advanceAt(minute(100_000)))
      .accepted();
    expect(fact).toMatchObject({ type: 'FiringsMissed', data: { count: 1_000, isAtLeast: true, firstMs: minute(1) } });
    expect(others).toEqual([99_998, 99_999, 100_000].map((count) => due(count, minute(100_000))));
  });
});

describe('a person', () => {
  const resumed = (atMs: number) => ({ type: 'ScheduleResumed', data: { by: 'ann', atMs } }) as const;

  it('pauses: its times are none until it is resumed', () => {
    given(created())
      .when(at(minute(0.5), { type: 'PauseSchedule', note: 'holiday' }))
      .then(paused(minute(0.5), { note: 'holiday' }));
    given(created(), paused(minute(0.5)))
      .when(advanceAt(minute(9)))
      .thenNothing();
    given(created(), paused(minute(0.5)))
      .when(at(minute(9.5), { type: 'ResumeSchedule' }))
      .then(resumed(minute(9.5)));
    given(created(), paused(minute(0.5)), resumed(minute(9.5)))
      .when(advanceAt(minute(10)))
      .then(due(10));
  });

  it('pauses, and what was due before is decided', () => {
    given(created())
      .when(at(minute(1.5), { type: 'PauseSchedule' }))
      .then(due(1, minute(1.5)), paused(minute(1.5)));
  });

  it('updates: what was due before is due by what was said before', () => {
    const other = spec({ when: [{ type: 'interval', everyMs: 10 * MINUTE }], start: { name: 'other', input: null } });
    const updated = { type: 'ScheduleUpdated', data: { spec: other, version: 2, by: 'ann', atMs: minute(1.5) } } as const;
    given(created())
      .when(at(minute(1.5), { type: 'UpdateSchedule', spec: other }))
      .then(due(1, minute(1.5)), updated);
    given(created(), due(1), updated).thenPending([{ type: 'StartRun', runId: 'run-1-1', ordered }]);
    given(created(), updated)
      .when(advanceAt(minute(10)))
      .then(due(10, minute(10), { version: 2 }));
    given(created())
      .when(at(minute(0.5), { type: 'UpdateSchedule', spec: other, version: 7 }))
      .thenRejected('ScheduleChanged');
    given(created())
      .when(at(minute(1.5), { type: 'UpdateSchedule', spec: spec() }))
      .thenNothing();
  });

  it('runs it now, once for each request, whatever is under way', () => {
    const now = { runId: 'now-a', nominalAtMs: minute(0.5), cause: { by: 'run-now', id: 'a' } } as const;
    const ask = at(minute(0.5), { type: 'RunNow', overlap: 'allow-all' }, 'a');
    given(created())
      .when(ask)
      .then(due(0.5, minute(0.5), now));
    given(created(), due(0.5, minute(0.5), now))
      .when(ask)
      .thenNothing();
    given(created(), due(0.5, minute(0.5), now))
      .when(advanceAt(minute(1)))
      .then(skipped(1, minute(1)));
  });

  it('deletes it: nothing fires any more, and what was decided is still started', () => {
    const deleted = { type: 'ScheduleDeleted', data: { by: 'ann', atMs: minute(1) } } as const;
    given(created(), due(1))
      .when(at(minute(1), { type: 'DeleteSchedule' }))
      .then(deleted);
    given(created(), due(1), deleted)
      .when(advanceAt(minute(9)))
      .thenNothing();
    given(created(), due(1), deleted).thenPending([{ type: 'StartRun', runId: 'run-1-1', ordered }]);
    given(created(), due(1), deleted)
      .when(end('run-1-1', minute(2)))
      .then(ended('run-1-1', minute(2)));
    given(created(), deleted)
      .when(at(minute(2), { type: 'PauseSchedule' }))
      .thenRejected('ScheduleNotFound');
    given(created(), deleted)
      .when(at(minute(2), { type: 'DeleteSchedule' }))
      .thenNothing();
  });

  it('lets what it was to start with be erased when nothing is left to be started, once', () => {
    const deleted = { type: 'ScheduleDeleted', data: { by: 'ann', atMs: minute(1) } } as const;
    const erased = { type: 'ScheduleErased', data: { atMs: minute(2) } } as const;
    const noted = at(minute(2), { type: 'NoteErased' });
    given(created(), due(1), deleted).when(noted).thenNothing();
    given(created(), due(1), deleted, started('run-1-1', minute(1))).thenPending([{ type: 'EraseInputs', generation: 1 }]);
    given(created(), due(1), deleted, started('run-1-1', minute(1)))
      .when(noted)
      .then(erased);
    given(created(), deleted, erased).thenPending([]);
    given(created(), deleted, erased).when(noted).thenNothing();
    given(created()).when(noted).thenNothing();
  });

  it('creates it again: other runs, even of the same times', () => {
    const deleted = { type: 'ScheduleDeleted', data: { by: 'ann', atMs: minute(0.1) } } as const;
    const again = { type: 'ScheduleCreated', data: { spec: spec(), generation: 2, by: 'ann', atMs: minute(0.2) } } as const;
    const erased = { type: 'ScheduleErased', data: { atMs: minute(0.1) } } as const;
    given(created(), deleted)
      .when(at(minute(0.2), { type: 'CreateSchedule', spec: spec() }))
      .thenRejected('ScheduleEnding');
    given(created(), deleted, erased)
      .when(at(minute(0.2), { type: 'CreateSchedule', spec: spec() }))
      .then(again);
    given(created(), deleted, erased, again)
      .when(advanceAt(minute(1)))
      .then(due(1, minute(1), { runId: 'run-2-1', version: 2 }));
  });
});

describe('a backfill', () => {
  const request = (from: number, to: number, overlap: 'buffer-all' | 'allow-all' = 'buffer-all') =>
    at(minute(1), { type: 'Backfill', fromMs: minute(from), toMs: minute(to), overlap }, 'b');
  const fill = (count: number, atMs: number) =>
    due(count, atMs, { runId: `fill-b-${count}`, cause: { by: 'backfill', id: 'b' } });
  const idle = [created(), paused(T0)];
  const requested = (from: number, to: number, overlap: 'buffer-all' | 'allow-all' = 'buffer-all') =>
    ({
      type: 'BackfillRequested',
      data: { id: 'b', fromMs: minute(from), toMs: minute(to), overlap, by: 'ann', atMs: minute(1) },
    }) as const;
  const over = (atMs: number) => ({ type: 'BackfillEnded', data: { id: 'b', atMs } }) as const;

  it('one after another: the next when one has ended', () => {
    const asked = [requested(-3, -2), fill(-3, minute(1))];
    given(...idle)
      .when(request(-3, -2))
      .then(...asked);
    given(...idle, ...asked)
      .when(end('fill-b--3', minute(2)))
      .then(ended('fill-b--3', minute(2)), fill(-2, minute(2)));
    given(...idle, ...asked, ended('fill-b--3', minute(2)), fill(-2, minute(2)))
      .when(end('fill-b--2', minute(3)))
      .then(ended('fill-b--2', minute(3)), over(minute(3)));
  });

  it('all at once, where they may overlap', () => {
    given(...idle)
      .when(request(-3, -2, 'allow-all'))
      .then(requested(-3, -2, 'allow-all'), fill(-3, minute(1)), fill(-2, minute(1)), over(minute(1)));
  });

  it('is one for each request, and of times that have been', () => {
    given(...idle, requested(-3, -2))
      .when(request(-3, -2))
      .thenNothing();
    given(...idle)
      .when(request(3, 9))
      .thenRejected('InvalidBackfill');
    given(...idle)
      .when(request(0, -1))
      .thenRejected('InvalidBackfill');
  });
});

describe('runs that do not complete', () => {
  const how = { pauseAfterFailures: 2 };
  const first = [created(how), due(1), ended('run-1-1', minute(1), 'failed'), due(2)];

  it('pause it after so many in a row', () => {
    given(...first)
      .when(end('run-1-2', minute(2.5), 'failed'))
      .then(
        ended('run-1-2', minute(2.5), 'failed'),
        paused(minute(2.5), { because: 'failures', by: 'schedule', note: '2 runs in a row did not complete' }),
      );
  });

  it('count from anew after one that completes; what was cancelled is no failure', () => {
    given(...first)
      .when(end('run-1-2', minute(2.5)))
      .then(ended('run-1-2', minute(2.5)));
    given(...first)
      .when(end('run-1-2', minute(2.5), 'cancelled'))
      .then(ended('run-1-2', minute(2.5), 'cancelled'));
  });
});
