import { canonicalJson, Cancelled, Terminal } from '@perdure/kernel';
import type { PollOptions, StepScope, WorkflowContext } from './definitions';
import { serialise } from './outcome';

// Asks again and again whether something outside has come about.
//
// 1. What was seen is recorded when it differs from what was seen before, as the result of a step, and not otherwise.
// 2. The time of each look follows from the last that was recorded, so that whoever goes on after a crash keeps to it.
// 3. Short pauses are waited for by the worker, in memory; long ones durably, so that nothing holds the run meanwhile.

/** From pauses of this length on a run is let go of between two looks. */
export const LET_GO_FROM_MS = 5 * 60_000;
/** Looks in a row that failed, after which the failure is given to the code. */
const FAILURES_MAX = 10;

/** Time, for a look that is under way. */
export interface PollClock {
  nowMs(): number;
  /** False when the worker lets go of the run meanwhile. */
  pause(delayMs: number): Promise<boolean>;
}

export interface Polled<T> {
  readonly name: string;
  readonly options: PollOptions<T>;
  look(scope: StepScope): T | Promise<T>;
}

/** The next look: how many in a row have seen the same before it, and when it is due. */
interface Next {
  readonly unchanged: number;
  readonly dueAtMs: number;
}

/** What comes of one stretch of looking. */
type Watched =
  | { readonly did: 'see'; readonly value: unknown; readonly atMs: number }
  | ({ readonly did: 'let-go' } & Next)
  | { readonly did: 'give-up' };

type Pollers = Pick<WorkflowContext, 'now' | 'step' | 'until'>;

/** @throws Terminal `PollTimedOut`, `InvalidDuration`, or what the look said is for good */
export async function poll<T>(polled: Polled<T>, ctx: Pollers, clock: PollClock): Promise<T> {
  const { name, options } = polled;
  check(options);
  const { until = Boolean, timeoutMs } = options;
  const startedAtMs = ctx.now();
  const deadlineAtMs = timeoutMs === undefined ? Number.POSITIVE_INFINITY : startedAtMs + timeoutMs;
  let seen: { readonly value: unknown } | undefined;
  let next: Next = { unchanged: 0, dueAtMs: startedAtMs };
  for (;;) {
    const stretch = { seen, next, deadlineAtMs };
    const watched: Watched = await ctx.step(name, (scope) => watch(polled, stretch, { scope, clock }));
    if (watched.did === 'give-up') throw timedOut(name, options);
    if (watched.did === 'see') {
      const value = watched.value as T;
      if (until(value)) return value;
      seen = { value };
      next = { unchanged: 1, dueAtMs: watched.atMs + pauseOf(1, options) };
    } else next = watched;
    if (isLong(next.unchanged, options)) await ctx.until(Math.min(next.dueAtMs, deadlineAtMs));
  }
}

interface Stretch {
  readonly seen: { readonly value: unknown } | undefined;
  readonly next: Next;
  readonly deadlineAtMs: number;
}

/** Until something else is seen, the time is up, or the next look is far away. */
async function watch<T>(
  { name, look, options }: Polled<T>,
  { seen, next: first, deadlineAtMs }: Stretch,
  { scope, clock }: { readonly scope: StepScope; readonly clock: PollClock },
): Promise<Watched> {
  let failures = 0;
  for (let next = onTime(first, options, clock.nowMs()); ; next = onTime(after(next, options), options, clock.nowMs())) {
    const delayMs = Math.min(next.dueAtMs, deadlineAtMs) - clock.nowMs();
    if (next !== first && isLong(next.unchanged, options)) return { did: 'let-go', ...next };
    if (delayMs > 0 && !(await clock.pause(delayMs)))
      throw new Cancelled('PollLetGo', 'The worker lets go of the run; another goes on with the poll.');
    if (next.dueAtMs > deadlineAtMs) return { did: 'give-up' };
    try {
      const { value } = serialise(await look(scope), `What the poll ${JSON.stringify(name)} has seen`);
      failures = 0;
      if (seen === undefined || canonicalJson(value) !== canonicalJson(seen.value))
        return { did: 'see', value, atMs: clock.nowMs() };
    } catch (error) {
      failures += 1;
      if (error instanceof Terminal || failures >= FAILURES_MAX) throw error;
    }
  }
}

function after({ unchanged, dueAtMs }: Next, options: PollOptions<never>): Next {
  return { unchanged: unchanged + 1, dueAtMs: dueAtMs + pauseOf(unchanged + 1, options) };
}

/** Looks that should have been made while nobody was there, or the last one took too long, are not made up for. */
function onTime(next: Next, options: PollOptions<never>, nowMs: number): Next {
  let due = next;
  for (let later = after(due, options); later.dueAtMs <= nowMs; later = after(due, options)) due = later;
  return due;
}

/** Before the so-manieth look that sees the same. */
function pauseOf(unchanged: number, { everyMs, backoff }: PollOptions<never>): number {
  return backoff === undefined ? everyMs : Math.min(backoff.maxMs, everyMs * backoff.factor ** (unchanged - 1));
}

function isLong(unchanged: number, options: PollOptions<never>): boolean {
  return unchanged > 0 && pauseOf(unchanged, options) >= LET_GO_FROM_MS;
}

function timedOut(name: string, { timeoutMs }: PollOptions<never>): Terminal {
  return new Terminal('PollTimedOut', `The poll ${JSON.stringify(name)} has not seen what it waits for in ${timeoutMs} ms.`, {
    details: { name, timeoutMs },
  });
}

function check({ everyMs, backoff, timeoutMs = 1 }: PollOptions<never>): void {
  const { factor, maxMs } = backoff ?? { factor: 1, maxMs: everyMs };
  if (
    everyMs >= 1 &&
    factor >= 1 &&
    maxMs >= everyMs &&
    timeoutMs >= 1 &&
    [everyMs, factor, maxMs, timeoutMs].every(Number.isFinite)
  )
    return;
  throw new Terminal(
    'InvalidDuration',
    'A poll needs everyMs of at least 1; its backoff a factor of at least 1 and maxMs of at least everyMs; timeoutMs, if any, at least 1.',
  );
}
