import type { TaskLine, TaskPage, TaskStatus } from '@perdure/approval-contract';
import type { Json, Keeper, RecordedEvent } from '@perdure/kernel';
import { runStream, TERMINAL_EVENT_TYPES, type RunEventOf } from '@perdure/run-contract';

export interface TaskQuery {
  readonly tenant: string;
  readonly status?: TaskStatus | undefined;
  readonly assignee?: readonly string[] | undefined;
  /** The `next` of the page before. */
  readonly after?: string | undefined;
  readonly limit: number;
}

/** Of those that wait no more the newest are listed; older ones are facts of their runs. */
const CLOSED_KEPT = 1_000;

const TYPES = ['TaskAsked', 'TaskAnswered', 'TaskDelegated', 'TaskEscalated', 'TaskExpired'] as const;
/** Nobody is asked any more; of a run that goes on, what still waits is asked anew. */
const CLOSING: readonly string[] = [...TERMINAL_EVENT_TYPES, 'RunEnding', 'RunRewound', 'RunContinued'];

type TaskFact = RunEventOf<(typeof TYPES)[number]>;
type Named = Pick<TaskLine, 'tenant' | 'runId'>;

/**
 * Whom runs wait for: a projection in memory over the facts of what they ask.
 * 1. A fact not newer than what the line shows changes nothing.
 * 2. Of every open question a line is held, without its form; of the others the newest {@link CLOSED_KEPT}.
 */
export class TaskInbox implements Keeper {
  readonly name = 'task-inbox';
  readonly eventTypes: readonly string[] = [...TYPES, ...CLOSING];
  /** By run, then by call. */
  private readonly open = new Map<string, Map<string, TaskLine>>();
  private readonly closed = new Map<string, TaskLine>();
  private complete = false;

  constructor(private readonly closedKept = CLOSED_KEPT) {}

  get isComplete(): boolean {
    return this.complete;
  }

  caughtUp(): void {
    this.complete = true;
  }

  restore(index: Json | undefined): void {
    this.open.clear();
    this.closed.clear();
    for (const line of (index ?? []) as unknown as readonly TaskLine[]) this.put(line);
  }

  snapshot(): Json {
    return [...this.closed.values(), ...this.all()] as unknown as Json;
  }

  apply(fact: RecordedEvent): void {
    const address = runStream.parse(fact.stream);
    if (CLOSING.includes(fact.type)) {
      for (const line of [...(this.open.get(runOf(address))?.values() ?? [])].filter(({ revision }) => revision < fact.revision))
        this.put({ ...line, status: 'ended', revision: fact.revision });
      return;
    }
    const event = { type: fact.type, data: fact.data } as TaskFact;
    const known = this.find({ ...address, call: event.data.call });
    if (known !== undefined && fact.revision <= known.revision) return;
    if (event.type === 'TaskAsked') this.put(asked(address, event, fact.revision));
    else if (known !== undefined) this.put({ ...known, ...changed(event), revision: fact.revision });
  }

  find({ tenant, runId, call }: Pick<TaskLine, 'tenant' | 'runId' | 'call'>): TaskLine | undefined {
    const run = runOf({ tenant, runId });
    return this.open.get(run)?.get(call) ?? this.closed.get(`${run} ${call}`);
  }

  /** Who waits for longest stands on top. */
  page({ tenant, status, assignee, after, limit }: TaskQuery): TaskPage {
    const wanted = [...this.all(), ...this.closed.values()]
      .filter((line) => line.tenant === tenant && (status === undefined || line.status === status))
      .filter((line) => assignee === undefined || assignee.some((who) => isAsked(line, who)))
      .map((line) => ({ line, place: placeOf(line) }))
      .filter(({ place }) => after === undefined || place > after)
      .sort((left, right) => (left.place < right.place ? -1 : 1));
    const shown = wanted.slice(0, limit);
    const last = shown.at(-1);
    const tasks = shown.map(({ line }) => line);
    return last === undefined || wanted.length === shown.length ? { tasks } : { tasks, next: last.place };
  }

  private *all(): Iterable<TaskLine> {
    for (const calls of this.open.values()) yield* calls.values();
  }

  private put(line: TaskLine): void {
    const run = runOf(line);
    const calls = this.open.get(run) ?? new Map<string, TaskLine>();
    const name = `${run} ${line.call}`;
    this.closed.delete(name);
    if (line.status === 'open') {
      this.open.set(run, calls.set(line.call, line));
      return;
    }
    calls.delete(line.call);
    if (calls.size === 0) this.open.delete(run);
    this.closed.set(name, line);
    const [oldest] = this.closed.size > this.closedKept ? this.closed.keys() : [];
    if (oldest !== undefined) this.closed.delete(oldest);
  }
}

function asked({ tenant, runId }: Named, { data }: RunEventOf<'TaskAsked'>, revision: number): TaskLine {
  const { call, name, title, assignee, askedAtMs, dueAtMs, expires } = data;
  const times = {
    askedAtMs,
    ...(dueAtMs === undefined ? {} : { dueAtMs }),
    ...(expires === undefined ? {} : { expiresAtMs: expires.atMs }),
  };
  return { tenant, runId, call, asked: revision, name, title, status: 'open', assignee, ...times, revision };
}

function changed(event: Exclude<TaskFact, { type: 'TaskAsked' }>): Partial<TaskLine> {
  switch (event.type) {
    case 'TaskAnswered':
      return { status: 'answered', answeredBy: event.data.by };
    case 'TaskDelegated':
      return { delegatedTo: event.data.to };
    case 'TaskEscalated':
      return { escalatedTo: event.data.to };
    case 'TaskExpired':
      return { status: 'expired' };
  }
}

function isAsked({ assignee, delegatedTo, escalatedTo }: TaskLine, who: string): boolean {
  return assignee === who || delegatedTo === who || escalatedTo === who;
}

const TIME_DIGITS = 14;

/** In the order of time; of those asked at the same time, in any order that stays. */
function placeOf({ askedAtMs, runId, call }: TaskLine): string {
  return `${String(askedAtMs).padStart(TIME_DIGITS, '0')}.${runId}.${call}`;
}

function runOf({ tenant, runId }: Named): string {
  return `${tenant}.${runId}`;
}
