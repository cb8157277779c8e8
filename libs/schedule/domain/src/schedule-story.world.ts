import * as fc from 'fast-check';
import { fold } from '@perdure/kernel';
import { calendarTimes } from '@perdure/platform-schedule-times';
import { scheduleSpec, type FiringResult, type OverlapPolicy, type ScheduleEvent } from '@perdure/schedule-contract';
import type { ScheduleRules } from './calendar';
import { scheduleDecider, type DecidedCommand } from './schedule.decider';
import { nextLookAtMs, pendingEffects } from './schedule.effects';
import { noSchedule } from './schedule.state';

/** Stories of a schedule, and what the decider makes of them: its owner looks whenever there is something to decide, unless it is down. */

export const START_MS = Date.parse('2026-01-01T00:00:00Z');
/** So long after a run is to be cancelled it has ended. */
export const CANCELLING_MS = 700;
const SECOND_MS = 1_000;
/** After the last step of a story. */
export const EPILOGUE_MS = 20 * SECOND_MS;

export interface Story {
  readonly everyMs: number;
  readonly offsetMs: number;
  /** Since the start. */
  readonly at: readonly number[];
  readonly fromMs: number | undefined;
  readonly untilMs: number | undefined;
  readonly jitterMs: number;
  readonly overlap: OverlapPolicy;
  readonly catchUpMs: number;
  readonly firingsMax: number | undefined;
  readonly pauseAfterFailures: number | undefined;
  /** Of each run in turn: how long it takes, and whether it completes. */
  readonly runs: readonly { readonly lastsMs: number; readonly completes: boolean }[];
  readonly steps: readonly Step[];
}

export interface Step {
  readonly afterMs: number;
  readonly what: 'outage' | 'pause' | 'resume' | 'run-now' | 'run-now-if-free';
  readonly lastsMs: number;
}

/** What has become of a time, or of a wish for a run. */
export interface Fate {
  readonly nominalAtMs: number;
  readonly by: 'times' | 'run-now';
  readonly fate: 'fired' | 'skipped' | 'missed' | 'waiting';
  readonly atMs: number;
}

const halfSeconds = (max: number): fc.Arbitrary<number> => fc.nat({ max: 2 * max }).map((halves) => halves * 500);
const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined, freq: 3 });

export const stories: fc.Arbitrary<Story> = fc.record({
  everyMs: fc.integer({ min: 1, max: 9 }).map((seconds) => seconds * SECOND_MS),
  offsetMs: fc.constantFrom(0, 0, 500, 700),
  at: fc.array(halfSeconds(100), { maxLength: 3 }),
  fromMs: maybe(halfSeconds(20)),
  untilMs: maybe(fc.integer({ min: 30, max: 120 }).map((seconds) => seconds * SECOND_MS)),
  jitterMs: fc.constantFrom(0, 0, 900, 4_000),
  overlap: fc.constantFrom('skip', 'buffer-one', 'buffer-all', 'cancel-other', 'allow-all'),
  catchUpMs: fc.constantFrom(0, 500, 5_000, 20_000, 3_600_000),
  firingsMax: maybe(fc.integer({ min: 1, max: 15 })),
  pauseAfterFailures: maybe(fc.integer({ min: 1, max: 3 })),
  runs: fc.array(fc.record({ lastsMs: halfSeconds(12), completes: fc.boolean() }), { minLength: 1, maxLength: 6 }),
  steps: fc.array(
    fc.record({
      afterMs: halfSeconds(15),
      what: fc.constantFrom('outage', 'outage', 'pause', 'resume', 'resume', 'run-now', 'run-now-if-free'),
      lastsMs: fc.oneof(halfSeconds(10), halfSeconds(120)),
    }),
    { maxLength: 10 },
  ),
});

/** In [0, 1), and different for neighbours. */
export function fractionOf(nominalAtMs: number): number {
  return ((nominalAtMs / 500) % 7) / 7;
}

const rules: ScheduleRules = {
  times: calendarTimes,
  runIdOf: (_, firing) => (firing.by === 'run-now' ? `now-${firing.id}` : `run-${firing.nominalAtMs}`),
  fractionOf,
};

export function fatesOf(story: Story): readonly Fate[] {
  const play = new Play(story);
  for (const { afterMs, what, lastsMs } of story.steps) {
    play.until(play.nowMs + afterMs);
    if (what === 'outage') play.outage(lastsMs);
    else if (what === 'pause') play.give({ type: 'PauseSchedule' });
    else if (what === 'resume') play.give({ type: 'ResumeSchedule' });
    else play.give({ type: 'RunNow', overlap: what === 'run-now' ? 'allow-all' : 'skip' });
    play.settle();
  }
  play.until(play.nowMs + EPILOGUE_MS);
  return told(play.facts);
}

interface End {
  readonly runId: string;
  readonly atMs: number;
  readonly result: FiringResult;
}

class Play {
  readonly facts: ScheduleEvent[] = [];
  nowMs = START_MS;
  private readonly decider = scheduleDecider(rules);
  private ends: End[] = [];
  private started = 0;
  private asked = 0;

  constructor(private readonly story: Story) {
    const { everyMs, offsetMs, at, fromMs, untilMs, firingsMax, pauseAfterFailures, ...rest } = story;
    const spec = scheduleSpec.parse({
      start: { name: 'report', input: null },
      when: [{ type: 'interval', everyMs, offsetMs }, ...at.map((sinceMs) => ({ type: 'at', atMs: START_MS + sinceMs }))],
      ...(fromMs === undefined ? {} : { startAtMs: START_MS + fromMs }),
      ...(untilMs === undefined ? {} : { endAtMs: START_MS + untilMs }),
      ...(firingsMax === undefined ? {} : { firingsMax }),
      ...(pauseAfterFailures === undefined ? {} : { pauseAfterFailures }),
      jitterMs: rest.jitterMs,
      overlap: rest.overlap,
      catchUpMs: rest.catchUpMs,
    });
    this.give({ type: 'CreateSchedule', spec });
  }

  /** As it would be read from the log. */
  private state() {
    return fold(this.decider, noSchedule, this.facts);
  }

  give(command: DecidedCommand): void {
    const given = { command, id: `request-${(this.asked += 1)}`, by: 'ann', nowMs: this.nowMs };
    const decision = this.decider.decide(given, this.state());
    if ('rejected' in decision) throw new Error(`${command.type} was refused: ${decision.rejected.code}`);
    for (const event of decision.accepted) {
      this.facts.push(event);
      if (event.type === 'FiringDue') this.start(event.data.runId);
    }
    this.doEffects();
  }

  private start(runId: string): void {
    const { runs } = this.story;
    const run = runs[this.started % runs.length];
    this.started += 1;
    if (run === undefined) return;
    this.ends.push({ runId, atMs: this.nowMs + run.lastsMs, result: run.completes ? 'completed' : 'failed' });
  }

  private doEffects(): void {
    const [effect] = pendingEffects(this.state());
    if (effect === undefined || effect.type === 'EraseInputs') return;
    if (effect.type === 'CancelRun') this.cancel(effect.runId);
    this.give({ type: effect.type === 'StartRun' ? 'NoteStarted' : 'NoteCancelRequested', runId: effect.runId });
  }

  private cancel(runId: string): void {
    const atMs = this.nowMs + CANCELLING_MS;
    this.ends = this.ends.map((end) => (end.runId === runId && end.atMs > atMs ? { runId, atMs, result: 'cancelled' } : end));
  }

  settle(): void {
    for (;;) {
      const lookAtMs = nextLookAtMs(rules, this.state());
      if (lookAtMs === undefined || lookAtMs > this.nowMs) return;
      const before = this.facts.length;
      this.give({ type: 'Advance' });
      if (this.facts.length === before) throw new Error('It says that there is something to decide, and decides nothing.');
    }
  }

  until(untilMs: number): void {
    while (this.nowMs < untilMs) {
      const lookAtMs = nextLookAtMs(rules, this.state()) ?? Infinity;
      this.nowMs = Math.min(untilMs, lookAtMs, ...this.ends.map(({ atMs }) => Math.max(atMs, this.nowMs)));
      this.tellEnds();
      this.settle();
    }
  }

  /** Nobody looks; then whoever comes next is told first what has ended. */
  outage(lastsMs: number): void {
    this.nowMs += lastsMs;
    this.tellEnds();
  }

  private tellEnds(): void {
    for (;;) {
      const [first] = [...this.ends].sort((left, right) => left.atMs - right.atMs);
      if (first === undefined || first.atMs > this.nowMs) return;
      this.ends = this.ends.filter((end) => end !== first);
      this.give({ type: 'EndFiring', runId: first.runId, result: first.result });
      this.settle();
    }
  }
}

/** The last word of the facts on each time. */
function told(facts: readonly ScheduleEvent[]): readonly Fate[] {
  const fates = new Map<string, Fate>();
  const missed: Fate[] = [];
  for (const { type, data } of facts) {
    if (type === 'FiringsMissed') missed.push(...missedOf(data));
    if (type !== 'FiringDue' && type !== 'FiringBuffered' && type !== 'FiringSkipped') continue;
    const { nominalAtMs, cause, atMs } = data;
    const by = cause.by === 'run-now' ? 'run-now' : 'times';
    const key = `${nominalAtMs}/${'id' in cause ? cause.id : ''}`;
    const isLate = type === 'FiringDue' ? data.wasBuffered === true : type === 'FiringSkipped' && data.reason === 'replaced';
    if (fates.has(key) !== isLate) throw new Error(`${type} of ${key}, which was ${fates.get(key)?.fate ?? 'nothing'} before`);
    const fate = ({ FiringDue: 'fired', FiringBuffered: 'waiting', FiringSkipped: 'skipped' } as const)[type];
    fates.set(key, { nominalAtMs, by, fate, atMs });
  }
  return inOrder([...missed, ...fates.values()]);
}

/** Each fact says of how many times it tells; which ones they are, only that they lie between its ends. */
function missedOf(data: { readonly firstMs: number; readonly untilMs: number; readonly count: number; readonly atMs: number }) {
  const { firstMs, untilMs, count, atMs } = data;
  const missed = { by: 'times', fate: 'missed', atMs } as const;
  return Array.from({ length: count }, (_, index): Fate => ({
    ...missed,
    nominalAtMs: index === count - 1 ? untilMs : index === 0 ? firstMs : BETWEEN,
  }));
}

/** Of a time in the middle of several that were missed together. */
export const BETWEEN = -1;

export function inOrder(fates: readonly Fate[]): readonly Fate[] {
  const text = (fate: Fate): string => JSON.stringify(fate);
  return [...fates].sort(
    (left, right) => left.atMs - right.atMs || left.nominalAtMs - right.nominalAtMs || (text(left) < text(right) ? -1 : 1),
  );
}
