import { InvariantViolated, SharedWords, type Json, type Keeper, type RecordedEvent } from '@perdure/kernel';
import {
  isRunEventType,
  runAddress,
  runStream,
  TERMINAL_EVENT_TYPES,
  type RunEventOf,
  type RunEventType,
} from '@perdure/run-contract';

export type RunListStatus =
  'queued' | 'active' | 'suspended' | 'paused' | 'completed' | 'failed' | 'cancelled' | 'timed-out' | 'terminated' | 'refused';

/** One line of the list of runs. */
export interface RunLine {
  readonly runId: string;
  readonly tenant: string;
  readonly kind: string;
  readonly name: string;
  readonly status: RunListStatus;
  /** Of the fact that made it so. */
  readonly revision: number;
  readonly requestedAtMs: number;
  readonly changedAtMs: number;
  readonly workerId?: string | undefined;
  readonly epoch: number;
  /** Workflows: the build that it is pinned to. */
  readonly buildId?: string | undefined;
  /** Effects that wait for a person's answer; absent when there is none. */
  readonly questions?: readonly EffectQuestion[] | undefined;
}

/** What a person is asked: whether an effect happened. */
export interface EffectQuestion {
  readonly call: string;
  readonly tool: string;
  readonly effectClass: string;
  readonly attempt: number;
  readonly executionId: string;
  /** From then on it may be answered that it did not happen. */
  readonly overByMs: number;
  readonly because: string;
  /** In words; empty when the log keeps it sealed: the view of the run says it. */
  readonly why: string;
  readonly askedAtMs: number;
}

export interface RunQuery {
  readonly tenant: string;
  readonly status?: RunListStatus;
  readonly limit: number;
}

export interface LiveQuery {
  readonly tenant: string;
  /** Only those pinned to it. */
  readonly buildId?: string | undefined;
  readonly after: string;
  readonly limit: number;
}

/** The list shows the newest ended runs; older ones are asked for by id. */
export const ENDED_RUNS_KEPT = 10_000;

const ENDED: Readonly<Record<(typeof TERMINAL_EVENT_TYPES)[number], RunListStatus>> = {
  RunRefused: 'refused',
  RunCompleted: 'completed',
  RunFailed: 'failed',
  RunCancelled: 'cancelled',
  RunTimedOut: 'timed-out',
  RunTerminated: 'terminated',
};

const CHANGES: Partial<Record<RunEventType, RunListStatus>> = {
  ...ENDED,
  RunAssigned: 'active',
  RunSuspended: 'suspended',
  RunEnding: 'suspended',
  RunWoken: 'queued',
  RunQuarantined: 'paused',
  RunPaused: 'paused',
  CodeDiverged: 'paused',
  RunResumed: 'queued',
};

/** Shape of the checkpoint; another one is not read, and the log is read instead. */
const VERSION = 3;
/** Lines in one part of a checkpoint: some 10 ms of work on a busy machine. */
const PART_LINES = 4_000;

const QUESTIONS: readonly string[] = ['EffectQuestioned', 'EffectReconciled'];

/**
 * Which runs there are, and how they stand: a projection in memory over the facts that change it.
 * 1. A fact not newer than what the line shows changes nothing.
 * 2. Every open run is held; of the ended ones the newest {@link ENDED_RUNS_KEPT}.
 */
export class RunDirectory implements Keeper {
  readonly name = 'run-directory';
  readonly eventTypes: readonly string[] = ['RunRequested', 'RunRepinned', ...Object.keys(CHANGES), ...QUESTIONS];
  /** By the name of its stream, of which the run id is a part: that text is held once. */
  private readonly open = new Map<string, RunLine>();
  /** In the order in which they ended: the first is the first to be forgotten. */
  private readonly ended = new Map<string, RunLine>();
  private readonly words = new SharedWords();
  private complete = false;

  constructor(private readonly endedKept = ENDED_RUNS_KEPT) {}

  /** False until the log has been followed to its head once. */
  get isComplete(): boolean {
    return this.complete;
  }

  caughtUp(): void {
    this.complete = true;
  }

  restore(): void {
    this.open.clear();
    this.ended.clear();
  }

  restorePart(part: Json): void {
    const { v, open, ended } = part as unknown as { v?: number; open: readonly RunLine[]; ended: readonly RunLine[] };
    if (v !== VERSION) throw new InvariantViolated('Not a checkpoint of this version of the directory of runs');
    for (const line of open) this.putAgain(this.open, line);
    for (const line of ended) this.putAgain(this.ended, line);
  }

  /** The follower asks for the parts. */
  snapshot(): Json {
    return [...this.snapshotParts()];
  }

  *snapshotParts(): Generator<Json> {
    // A run that ends meanwhile is told again by the log.
    for (const open of pagesOf(this.open)) yield { v: VERSION, open, ended: [] } as unknown as Json;
    for (const ended of pagesOf(this.ended)) yield { v: VERSION, open: [], ended } as unknown as Json;
  }

  apply(fact: RecordedEvent): void {
    if (!isRunEventType(fact.type)) return;
    const key = fact.stream;
    const known = this.open.get(key) ?? this.ended.get(key);
    if (known ? fact.revision <= known.revision : fact.type !== 'RunRequested') return;
    if (fact.type === 'RunRequested') this.put(this.open, requested(fact), key);
    else if (known && QUESTIONS.includes(fact.type)) this.put(this.open, { ...asked(known, fact), revision: fact.revision }, key);
    else if (known) this.change(key, known, fact);
  }

  /** Newest first. */
  list({ tenant, status, limit }: RunQuery): readonly RunLine[] {
    const matching: RunLine[] = [];
    for (const lines of [this.open, this.ended]) {
      for (const line of lines.values())
        if (line.tenant === tenant && (status === undefined || line.status === status)) matching.push(line);
    }
    return matching
      .sort((left, right) => right.requestedAtMs - left.requestedAtMs || (left.runId < right.runId ? 1 : -1))
      .slice(0, limit);
  }

  /** Oldest first. */
  openRuns(tenant: string): readonly RunLine[] {
    return [...this.open.values()]
      .filter((line) => line.tenant === tenant)
      .sort((left, right) => left.requestedAtMs - right.requestedAtMs || (left.runId < right.runId ? -1 : 1));
  }

  /** Open questions of all runs, oldest first. */
  questions({
    tenant,
    limit,
  }: Pick<RunQuery, 'tenant' | 'limit'>): readonly (EffectQuestion & { readonly runId: string; readonly name: string })[] {
    return [...this.open.values()]
      .filter((line) => line.tenant === tenant)
      .flatMap(({ runId, name, questions = [] }) => questions.map((question) => ({ runId, name, ...question })))
      .sort((left, right) => left.askedAtMs - right.askedAtMs)
      .slice(0, limit);
  }

  /** Live runs by the build that they are pinned to. */
  pinned(tenant: string): ReadonlyMap<string, number> {
    const runs = new Map<string, number>();
    for (const { tenant: of, buildId } of this.open.values())
      if (of === tenant && buildId !== undefined) runs.set(buildId, (runs.get(buildId) ?? 0) + 1);
    return runs;
  }

  /** Live runs in the order of their ids, page by page: those after `after`. */
  live({ tenant, buildId, after, limit }: LiveQuery): readonly RunLine[] {
    const lines = [...this.open.values()].filter(
      (line) => line.tenant === tenant && line.runId > after && (buildId === undefined || line.buildId === buildId),
    );
    return lines.sort((left, right) => (left.runId < right.runId ? -1 : 1)).slice(0, limit);
  }

  private change(key: string, known: RunLine, fact: RecordedEvent): void {
    // Where it stands is as it was, and since when.
    if (fact.type === 'RunRepinned') {
      this.put(this.open, { ...withPin(known, fact), revision: fact.revision }, key);
      return;
    }
    const status = CHANGES[fact.type as RunEventType] ?? known.status;
    const assigned = fact.type === 'RunAssigned' ? (fact.data as RunEventOf<'RunAssigned'>['data']) : undefined;
    const line: RunLine = {
      ...withPin(known, fact),
      status,
      revision: fact.revision,
      changedAtMs: fact.recordedAtMs,
      ...(assigned ? { workerId: assigned.workerId, epoch: assigned.epoch } : {}),
    };
    if (!(fact.type in ENDED)) {
      this.put(this.open, line, key);
      return;
    }
    const { questions: _, buildId: __, ...over } = line;
    this.open.delete(key);
    this.put(this.ended, over, key);
    if (this.ended.size <= this.endedKept) return;
    const [oldest] = this.ended.keys();
    if (oldest !== undefined) this.ended.delete(oldest);
  }

  private putAgain(lines: Map<string, RunLine>, line: RunLine): void {
    const key = runStream.build(runAddress(line.tenant, line.runId));
    this.put(lines, { ...line, runId: runStream.parse(key).runId }, key);
  }

  private put(lines: Map<string, RunLine>, line: RunLine, key: string): void {
    const { words } = this;
    const { runId, revision, requestedAtMs, changedAtMs, workerId, epoch, buildId, questions } = line;
    // All of one shape: an object that is copied and extended takes a third more.
    lines.set(key, {
      tenant: words.of(line.tenant),
      runId,
      kind: words.of(line.kind),
      name: words.of(line.name),
      status: words.of(line.status),
      revision,
      requestedAtMs,
      changedAtMs,
      workerId: workerId === undefined ? undefined : words.of(workerId),
      epoch,
      buildId: buildId === undefined ? undefined : words.of(buildId),
      questions,
    });
  }
}

function* pagesOf(lines: ReadonlyMap<string, RunLine>): Generator<readonly RunLine[]> {
  let left = lines.size;
  let page: RunLine[] = [];
  for (const line of lines.values()) {
    if (left === 0) break;
    left -= 1;
    page.push(line);
    if (page.length < PART_LINES) continue;
    yield page;
    page = [];
  }
  if (page.length > 0) yield page;
}

function requested(fact: RecordedEvent): RunLine {
  const { tenant, runId } = runStream.parse(fact.stream);
  const { kind, name, requestedAtMs } = fact.data as RunEventOf<'RunRequested'>['data'];
  return {
    tenant,
    runId,
    kind,
    name,
    status: 'queued',
    revision: fact.revision,
    requestedAtMs,
    changedAtMs: fact.recordedAtMs,
    epoch: 0,
  };
}

/** What assigns a workflow pins it, and so does who says so; code that diverged is pinned to nothing. */
function withPin({ buildId: before, ...line }: RunLine, { type, data }: RecordedEvent): RunLine {
  const says = type === 'RunAssigned' || type === 'RunRepinned';
  const said = says ? (data as RunEventOf<'RunAssigned' | 'RunRepinned'>['data']).buildId : before;
  return line.kind !== 'workflow' || said === undefined || type === 'CodeDiverged' ? line : { ...line, buildId: said };
}

/** A question is open from when it is asked until somebody has found out. */
function asked(line: RunLine, fact: RecordedEvent): RunLine {
  const { questions = [], ...rest } = line;
  const { call } = fact.data as RunEventOf<'EffectQuestioned' | 'EffectReconciled'>['data'];
  const others = questions.filter((question) => question.call !== call);
  const open = fact.type === 'EffectQuestioned' ? [...others, questionOf(fact)] : others;
  return open.length === 0 ? rest : { ...rest, questions: open };
}

function questionOf({ data, recordedAtMs: askedAtMs }: RecordedEvent): EffectQuestion {
  const { call, tool, effectClass, attempt, executionId, overByMs, because, why } =
    data as RunEventOf<'EffectQuestioned'>['data'];
  return { call, tool, effectClass, attempt, executionId, overByMs, because, why, askedAtMs };
}
