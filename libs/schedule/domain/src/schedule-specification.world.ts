import {
  BETWEEN,
  CANCELLING_MS,
  EPILOGUE_MS,
  fractionOf,
  inOrder,
  START_MS,
  type Fate,
  type Story,
} from './schedule-story.world';

/**
 * What a schedule is to do, said a second time: without facts, without bounds, and with a calendar that counts on its fingers.
 *
 * At each moment it is first told which runs have ended. Then whoever waits begins, if nothing is under way; then its times come,
 * in their order.
 */

interface Time {
  readonly nominalAtMs: number;
  readonly dueAtMs: number;
}

interface Run {
  endsAtMs: number;
  result: 'completed' | 'failed' | 'cancelled';
}

const STEP_MS = 100;

/** Every time up to some time after the end of the story. */
function timesOf(story: Story): readonly Time[] {
  const { everyMs, offsetMs, at, fromMs = 0, untilMs = Infinity, jitterMs } = story;
  const lengthMs = story.steps.reduce((sum, { afterMs, what, lastsMs }) => sum + afterMs + (what === 'outage' ? lastsMs : 0), 0);
  const nominal: number[] = [];
  for (let sinceMs = STEP_MS; sinceMs <= lengthMs + 2 * EPILOGUE_MS; sinceMs += STEP_MS) {
    const isTime = (START_MS + sinceMs - offsetMs) % everyMs === 0 || at.includes(sinceMs);
    if (isTime && sinceMs >= fromMs && sinceMs <= untilMs) nominal.push(START_MS + sinceMs);
  }
  return nominal.map((nominalAtMs, index) => {
    const gapMs = (nominal[index + 1] ?? Infinity) - nominalAtMs;
    return { nominalAtMs, dueAtMs: nominalAtMs + Math.floor(fractionOf(nominalAtMs) * Math.min(jitterMs, gapMs)) };
  });
}

export function specifiedFates(story: Story): readonly Fate[] {
  const model = new Specification(story);
  for (const { afterMs, what, lastsMs } of story.steps) {
    model.until(model.nowMs + afterMs);
    if (what === 'outage') model.jump(lastsMs);
    else if (what === 'pause') model.isPaused = true;
    else if (what === 'resume') model.resume();
    else model.wish(what === 'run-now-if-free');
  }
  model.until(model.nowMs + EPILOGUE_MS);
  return inOrder([...withoutMiddles(model.missed), ...model.fates, ...model.leftWaiting()]);
}

class Specification {
  nowMs = START_MS;
  isPaused = false;
  readonly fates: Fate[] = [];
  readonly missed: Fate[] = [];
  private readonly times: Time[];
  private readonly waiting: { readonly time: Time; readonly sinceMs: number }[] = [];
  private running: Run[] = [];
  private runs = 0;
  private firings = 0;
  private failures = 0;

  constructor(private readonly story: Story) {
    this.times = [...timesOf(story)];
  }

  until(untilMs: number): void {
    while (this.nowMs < untilMs) {
      const moments = [...this.running.map(({ endsAtMs }) => endsAtMs), this.nextTime()?.dueAtMs ?? Infinity];
      this.nowMs = Math.min(untilMs, ...moments.map((atMs) => Math.max(atMs, this.nowMs)));
      this.look();
    }
  }

  jump(lastsMs: number): void {
    this.nowMs += lastsMs;
    this.look();
  }

  resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    this.failures = 0;
    while ((this.times[0]?.nominalAtMs ?? Infinity) <= this.nowMs) this.times.shift();
    this.come();
  }

  wish(onlyIfFree: boolean): void {
    const wished = { nominalAtMs: this.nowMs, by: 'run-now', atMs: this.nowMs } as const;
    const isRefused = onlyIfFree && !this.isFree();
    this.fates.push({ ...wished, fate: isRefused ? 'skipped' : 'fired' });
    if (!isRefused) this.begin();
  }

  leftWaiting(): readonly Fate[] {
    return this.waiting.map(({ time, sinceMs }) => this.fateOf(time, 'waiting', sinceMs));
  }

  private look(): void {
    for (;;) {
      const [first] = [...this.running].sort((left, right) => left.endsAtMs - right.endsAtMs);
      if (first === undefined || first.endsAtMs > this.nowMs) break;
      this.running = this.running.filter((run) => run !== first);
      if (first.result === 'completed') this.failures = 0;
      if (first.result === 'failed') this.failures += 1;
      if (this.failures >= (this.story.pauseAfterFailures ?? Infinity)) this.isPaused = true;
      this.come();
    }
    this.come();
  }

  private come(): void {
    for (;;) {
      const [next] = this.waiting;
      const time = this.nextTime();
      if (next !== undefined && this.running.length === 0 && !this.isPaused) {
        this.waiting.shift();
        this.fire(next.time);
      } else if (time !== undefined && time.dueAtMs <= this.nowMs) {
        this.times.shift();
        this.judge(time);
      } else return;
    }
  }

  private nextTime(): Time | undefined {
    return this.isPaused || this.firings >= (this.story.firingsMax ?? Infinity) ? undefined : this.times[0];
  }

  private judge(time: Time): void {
    const { catchUpMs, overlap } = this.story;
    if (this.nowMs - time.dueAtMs > catchUpMs) {
      this.missed.push(this.fateOf(time, 'missed'));
      return;
    }
    const mayBegin = overlap === 'allow-all' || this.isFree();
    const mustGo = !mayBegin && (overlap === 'skip' || (overlap === 'buffer-one' && this.waiting.length > 0));
    if (mustGo) {
      this.fates.push(this.fateOf(time, 'skipped'));
      return;
    }
    this.firings += 1;
    if (mayBegin) {
      this.fire(time);
      return;
    }
    if (overlap === 'cancel-other') this.makeRoom();
    this.waiting.push({ time, sinceMs: this.nowMs });
  }

  private makeRoom(): void {
    for (const { time } of this.waiting.splice(0)) {
      this.firings -= 1;
      this.fates.push(this.fateOf(time, 'skipped'));
    }
    for (const run of this.running) {
      if (run.endsAtMs <= this.nowMs + CANCELLING_MS) continue;
      run.endsAtMs = this.nowMs + CANCELLING_MS;
      run.result = 'cancelled';
    }
  }

  private isFree(): boolean {
    return this.running.length === 0 && this.waiting.length === 0;
  }

  private fire(time: Time): void {
    this.fates.push(this.fateOf(time, 'fired'));
    this.begin();
  }

  private begin(): void {
    const run = this.story.runs[this.runs % this.story.runs.length];
    this.runs += 1;
    if (run === undefined) return;
    this.running.push({ endsAtMs: this.nowMs + run.lastsMs, result: run.completes ? 'completed' : 'failed' });
  }

  private fateOf({ nominalAtMs }: Time, fate: Fate['fate'], atMs = this.nowMs): Fate {
    return { nominalAtMs, by: 'times', fate, atMs };
  }
}

/** Times that were missed together are told by their first, their last and their number. */
function withoutMiddles(missed: readonly Fate[]): readonly Fate[] {
  return missed.map((fate, index) => {
    const isMiddle = missed[index - 1]?.atMs === fate.atMs && missed[index + 1]?.atMs === fate.atMs;
    return isMiddle ? { ...fate, nominalAtMs: BETWEEN } : fate;
  });
}
