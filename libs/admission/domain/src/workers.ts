import type { Heartbeat } from '@perdure/run-contract';
import { poolKey, recordKey, type RunRecord } from './run-record';

// Free slots of workers, between two heartbeats.
//
// 1. What a heartbeat says is absolute; it is corrected by what the facts have said since, never by counting deltas.
// 2. A slot is free again when the fact that frees it is seen: a pool of short runs must not wait for heartbeats.
// 3. Never more than all slots less what the ledger holds there.

/** Six heartbeats: the time after which the owner of a run, too, gives a silent worker up. */
export const WORKER_SILENT_MS = 3_000;
/** User code that blocks its thread: what is placed there would wait without need. */
export const LOOP_LAG_MAX_MS = 1_000;
/** The worker learns of its run's end with the answer to its report: the second heartbeat knows for sure. */
const BEATS_UNTIL_KNOWN = 2;

export interface Session {
  readonly workerId: string;
  readonly sessionId: string;
}

interface WorkerRecord {
  readonly beat: Heartbeat;
  readonly hosts: ReadonlySet<string>;
  readonly activations: ReadonlySet<string>;
  readonly heardAtMs: number;
  /** Listed by the heartbeat, freed since; with the number of heartbeats that listed it nevertheless. */
  readonly freedSince: Map<string, number>;
  lastPick: number;
}

/** Runs granted to or held by a session. */
interface Placed {
  readonly runs: Set<string>;
  /** Those among them that the newest heartbeat did not list; counted as they come and go, for each grant asks. */
  unlisted: number;
}

export type Placement = { readonly worker: Heartbeat } | { readonly missing: 'no-worker' | 'no-free-slot' };

export class Workers {
  private readonly pools = new Map<string, Map<string, WorkerRecord>>();
  /** By session, as the ledger has it; known before any heartbeat of that session. */
  private readonly placed = new Map<string, Placed>();
  private picks = 0;

  /** @returns the pool whose queue may go on, if the worker can take anything */
  beat(beat: Heartbeat, nowMs: number): string {
    const key = poolKey(beat);
    const pool = this.pools.get(key) ?? new Map<string, WorkerRecord>();
    this.pools.set(key, pool);
    const known = pool.get(beat.workerId);
    if (beat.leaving) {
      if (known?.beat.sessionId === beat.sessionId) pool.delete(beat.workerId);
      return key;
    }
    const activations = new Set(beat.activations);
    const freedSince =
      known?.beat.sessionId === beat.sessionId ? stillUnknown(known.freedSince, activations) : new Map<string, number>();
    pool.set(beat.workerId, {
      beat,
      activations,
      freedSince,
      heardAtMs: nowMs,
      hosts: new Set(beat.hosts),
      lastPick: known?.lastPick ?? 0,
    });
    const placed = this.placed.get(beat.sessionId);
    if (placed !== undefined) placed.unlisted = unlistedIn(placed.runs, activations);
    if (known === undefined) this.forgetSilent(pool, nowMs);
    return key;
  }

  /** The ledger places a run there, by a grant or because the log says so. */
  place(record: RunRecord): void {
    if (record.sessionId === undefined || record.workerId === undefined) return;
    const placed = this.placed.get(record.sessionId) ?? { runs: new Set<string>(), unlisted: 0 };
    this.placed.set(record.sessionId, placed);
    const worker = this.recordOf(record, record.workerId);
    worker?.freedSince.delete(record.runId);
    const key = recordKey(record);
    if (placed.runs.has(key)) return;
    placed.runs.add(key);
    if (!isListed(worker, record, record.sessionId)) placed.unlisted += 1;
  }

  free(record: RunRecord, { workerId, sessionId }: Session): void {
    const worker = this.recordOf(record, workerId);
    const placed = this.placed.get(sessionId);
    if (placed?.runs.delete(recordKey(record)) === true && !isListed(worker, record, sessionId)) placed.unlisted -= 1;
    if (placed?.runs.size === 0) this.placed.delete(sessionId);
    if (worker?.beat.sessionId === sessionId && worker.activations.has(record.runId)) worker.freedSince.set(record.runId, 0);
  }

  /** The worker for this run: the one that holds it warm if it can, else the one with most room. */
  pick(record: RunRecord, nowMs: number): Placement {
    let best: WorkerRecord | undefined;
    let hosted = false;
    for (const worker of this.pools.get(poolKey(record))?.values() ?? []) {
      if (!canTake(worker, record) || !isFit(worker, nowMs)) continue;
      hosted = true;
      if (this.credits(worker) <= 0) continue;
      if (worker.beat.workerId === record.preferredWorkerId) return this.picked(worker);
      if (best === undefined || this.hasMoreRoom(worker, best)) best = worker;
    }
    if (best !== undefined) return this.picked(best);
    return { missing: hosted ? 'no-free-slot' : 'no-worker' };
  }

  /** What `pick` would find, without picking. */
  look(record: RunRecord, nowMs: number): 'free' | 'no-worker' | 'no-free-slot' {
    const fit = [...(this.pools.get(poolKey(record))?.values() ?? [])].filter(
      (worker) => canTake(worker, record) && isFit(worker, nowMs),
    );
    if (fit.length === 0) return 'no-worker';
    return fit.some((worker) => this.credits(worker) > 0) ? 'free' : 'no-free-slot';
  }

  /** Slots that may be given away now. */
  creditsOf(pool: string, workerId: string): number {
    const worker = this.pools.get(pool)?.get(workerId);
    return worker === undefined ? 0 : this.credits(worker);
  }

  /** After the ledger was restored. */
  reset(records: Iterable<RunRecord>): void {
    this.placed.clear();
    for (const record of records) this.place(record);
  }

  private picked(worker: WorkerRecord): Placement {
    this.picks += 1;
    worker.lastPick = this.picks;
    return { worker: worker.beat };
  }

  private hasMoreRoom(worker: WorkerRecord, than: WorkerRecord): boolean {
    const difference = this.credits(worker) - this.credits(than);
    return difference === 0 ? worker.lastPick < than.lastPick : difference > 0;
  }

  private credits({ beat, freedSince }: WorkerRecord): number {
    if (beat.draining) return 0;
    const { runs, unlisted } = this.placed.get(beat.sessionId) ?? NONE;
    return Math.min(beat.freeSlots + freedSince.size - unlisted, beat.slots - runs.size);
  }

  private recordOf(record: RunRecord, workerId: string): WorkerRecord | undefined {
    return this.pools.get(poolKey(record))?.get(workerId);
  }

  private forgetSilent(pool: Map<string, WorkerRecord>, nowMs: number): void {
    for (const [workerId, worker] of pool) if (nowMs - worker.heardAtMs > WORKER_SILENT_MS) pool.delete(workerId);
  }
}

const NONE: Placed = { runs: new Set(), unlisted: 0 };

/** By the newest heartbeat of that session. */
function isListed(worker: WorkerRecord | undefined, { runId }: RunRecord, sessionId: string): boolean {
  return worker?.beat.sessionId === sessionId && worker.activations.has(runId);
}

function unlistedIn(runs: ReadonlySet<string>, activations: ReadonlySet<string>): number {
  let unlisted = 0;
  for (const key of runs) if (!activations.has(runIdOf(key))) unlisted += 1;
  return unlisted;
}

/** Whether it hosts the code that the run goes on with. */
function canTake({ hosts, beat }: WorkerRecord, { name, build }: RunRecord): boolean {
  if (!hosts.has(name)) return false;
  return build === undefined || build === beat.buildId || beat.compatibleWith?.includes(build) === true;
}

function isFit(worker: WorkerRecord, nowMs: number): boolean {
  return !worker.beat.draining && nowMs - worker.heardAtMs <= WORKER_SILENT_MS && worker.beat.loopLagMs <= LOOP_LAG_MAX_MS;
}

function stillUnknown(freed: ReadonlyMap<string, number>, listed: ReadonlySet<string>): Map<string, number> {
  const left = new Map<string, number>();
  for (const [runId, beats] of freed) if (listed.has(runId) && beats + 1 < BEATS_UNTIL_KNOWN) left.set(runId, beats + 1);
  return left;
}

function runIdOf(key: string): string {
  return key.slice(key.indexOf('.') + 1);
}
