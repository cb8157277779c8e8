import type { RecordedEvent } from '@perdure/kernel';
import type { FiringCause, ScheduleEvent, ScheduleEventOf, ScheduleSpec } from '@perdure/schedule-contract';
import type { Finding } from './run-audit';

/**
 * I16: of each of its times a schedule decides once, in their order, and never before it has come; what it decides to start is one
 * run, under its policy, and it learns how that has ended.
 *
 * For schedules of one interval, without jitter, that were made once. Knows nothing of the decider: it counts.
 */
export interface ScheduleAuditOptions {
  /** The facts of a run. */
  factsOf(runId: string): readonly RecordedEvent[];
  /** Whether it has come to its end: nothing may be left over. */
  readonly isOver: boolean;
}

const ENDS: Readonly<Record<string, string>> = {
  RunRefused: 'refused',
  RunCompleted: 'completed',
  RunFailed: 'failed',
  RunCancelled: 'cancelled',
  RunTimedOut: 'timed-out',
  RunTerminated: 'terminated',
};

export function auditSchedule(events: readonly RecordedEvent[], options: ScheduleAuditOptions): readonly Finding[] {
  const [first] = events;
  if (first?.type !== 'ScheduleCreated') return [];
  const { spec, atMs } = first.data as ScheduleEventOf<'ScheduleCreated'>['data'];
  const audit = new ScheduleAudit(spec, atMs, options);
  for (const event of events.slice(1)) audit.see(event);
  if (options.isOver) audit.conclude();
  return audit.problems.map((problem) => ({ invariant: 'I16', message: `${first.stream}: ${problem}` }));
}

class ScheduleAudit {
  readonly problems: string[] = [];
  private readonly open = new Set<string>();
  private readonly waiting = new Set<string>();
  private readonly wishes = new Set<string>();
  private readonly started: string[] = [];
  private isPaused = false;
  private at = '';

  constructor(
    private readonly spec: ScheduleSpec,
    /** Each of its times up to here is decided. */
    private untilMs: number,
    private readonly options: ScheduleAuditOptions,
  ) {}

  see({ type, data, revision, recordedAtMs }: RecordedEvent): void {
    this.at = `${type}@${revision}`;
    const event = { type, data } as ScheduleEvent;
    switch (event.type) {
      case 'SchedulePaused':
        if (this.next() <= event.data.atMs) this.found(`paused at ${event.data.atMs}, before ${this.next()} was decided`);
        this.isPaused = true;
        return;
      case 'ScheduleResumed':
        this.isPaused = false;
        this.untilMs = Math.max(this.untilMs, event.data.atMs);
        return;
      case 'FiringDue':
        return this.due(event.data, recordedAtMs);
      case 'FiringBuffered':
        this.decide(event.data);
        this.waiting.add(keyOf(event.data));
        return;
      case 'FiringSkipped':
        return this.skipped(event.data);
      case 'FiringsMissed':
        return this.missed(event.data);
      case 'FiringRefused':
      case 'FiringEnded':
        return this.ended(event);
      case 'ScheduleCreated':
      case 'ScheduleUpdated':
      case 'ScheduleDeleted':
      case 'ScheduleErased':
      case 'BackfillRequested':
      case 'BackfillEnded':
      case 'FiringStarted':
      case 'FiringCancelRequested':
        return;
    }
  }

  conclude(): void {
    this.at = 'at its end';
    const { endAtMs = Infinity } = this.spec;
    if (this.next() <= endAtMs) this.found(`${this.next()} was never decided`);
    if (this.open.size > 0) this.found(`${[...this.open].join(', ')} are held to be under way`);
    if (this.waiting.size > 0) this.found(`${[...this.waiting].join(', ')} wait`);
    for (const runId of this.started) {
      const requests = this.options.factsOf(runId).filter(({ type }) => type === 'RunRequested').length;
      if (requests !== 1) this.found(`${runId} was requested ${requests} times`);
    }
  }

  private due(data: ScheduleEventOf<'FiringDue'>['data'], recordedAtMs: number): void {
    const { runId, nominalAtMs, cause, wasBuffered } = data;
    if (cause.by === 'times' && recordedAtMs < nominalAtMs) this.found(`fires ${nominalAtMs} at ${recordedAtMs}, before it`);
    if (wasBuffered !== true) this.decide(data);
    else if (!this.waiting.delete(keyOf(data))) this.found(`${nominalAtMs} did not wait`);
    if (cause.by === 'times' && this.spec.overlap !== 'allow-all' && this.open.size > 0)
      this.found(`fires ${nominalAtMs} while ${[...this.open].join(', ')} has not ended`);
    if (this.open.has(runId)) this.found(`${runId} is started again`);
    this.open.add(runId);
  }

  private skipped(data: ScheduleEventOf<'FiringSkipped'>['data']): void {
    if (data.reason !== 'replaced') {
      this.decide(data);
      if (this.open.size + this.waiting.size === 0) this.found(`skips ${data.nominalAtMs}, and nothing is under way`);
    } else if (!this.waiting.delete(keyOf(data))) this.found(`${data.nominalAtMs} did not wait`);
  }

  private missed({ firstMs, untilMs, count, atMs }: ScheduleEventOf<'FiringsMissed'>['data']): void {
    if (atMs - untilMs <= this.spec.catchUpMs) this.found(`${untilMs} is called missed at ${atMs}`);
    this.takeNext(firstMs);
    this.untilMs = untilMs;
    if (firstMs + (count - 1) * this.everyMs() !== untilMs)
      this.found(`${count} times do not lie between ${firstMs} and ${untilMs}`);
  }

  private ended(event: Extract<ScheduleEvent, { readonly type: 'FiringRefused' | 'FiringEnded' }>): void {
    const { runId } = event.data;
    if (!this.open.delete(runId)) this.found(`${runId} is not under way`);
    // Refused by its owner, who then has no fact of it.
    if (event.type === 'FiringRefused') return;
    this.started.push(runId);
    const end = ENDS[this.options.factsOf(runId).at(-1)?.type ?? ''];
    if (end !== event.data.result) this.found(`${runId} is said to be ${event.data.result}; it is ${end ?? 'open'}`);
  }

  private decide(data: { readonly nominalAtMs: number; readonly cause: FiringCause; readonly atMs: number }): void {
    const { nominalAtMs, cause, atMs } = data;
    if (cause.by !== 'times') {
      const key = keyOf(data);
      if (this.wishes.has(key)) this.found(`${key} is done again`);
      this.wishes.add(key);
      return;
    }
    if (this.isPaused) this.found(`decides ${nominalAtMs} while it is paused`);
    if (atMs - nominalAtMs > this.spec.catchUpMs) this.found(`decides ${nominalAtMs} at ${atMs}, when it was missed`);
    this.takeNext(nominalAtMs);
  }

  private takeNext(nominalAtMs: number): void {
    if (nominalAtMs !== this.next()) this.found(`decides ${nominalAtMs}; its turn has ${this.next()}`);
    this.untilMs = nominalAtMs;
  }

  private next(): number {
    const everyMs = this.everyMs();
    return Math.floor(this.untilMs / everyMs) * everyMs + everyMs;
  }

  private everyMs(): number {
    const [rule] = this.spec.when;
    return rule?.type === 'interval' ? rule.everyMs : NaN;
  }

  private found(problem: string): void {
    this.problems.push(`${this.at} ${problem}`);
  }
}

function keyOf({ nominalAtMs, cause }: { readonly nominalAtMs: number; readonly cause: FiringCause }): string {
  return cause.by === 'times' ? `${nominalAtMs}` : `${cause.by} ${cause.id}`;
}
