import type { FileSystem } from '../store/file-system';
import { Gaps } from '../store/gaps';
import { type ScavengedRange, encodeScavengedHead } from '../store/scavenged-file';
import { inTurns } from './in-turns';
import { type ScavengeGroup, type ScavengePlan, planScavenge } from './scavenge-plan';
import type { ClosedSegment, SegmentIndexer } from './segment-indexer';
import type { StoreEngine } from './store-engine';

/** Copied at once, before others get their turn. */
const COPY_BYTES = 512 * 1024;
/** Written between two syncs: appends wait for the disk no longer than for so much. */
const SYNC_BYTES = 8 * 1024 * 1024;
const EVENTS_A_TURN = 4_096;

export interface ScavengeResult {
  readonly removedEvents: number;
  /** On the disk. */
  readonly freedBytes: number;
  readonly filesBefore: number;
  readonly filesAfter: number;
  readonly isStopped: boolean;
}

export interface ScavengeOptions {
  readonly engine: StoreEngine;
  readonly indexer: SegmentIndexer;
  readonly files: FileSystem;
  readonly segmentBytes: number;
  /** Where the file in the making lies. */
  readonly partPath: string;
  /** Takes the file in the place of the segments of its range. */
  replace(path: string, range: ScavengedRange): void;
  isStopped(): boolean;
}

/**
 * Rewrites closed segments without the events that nobody can see any more. Appends and reads go on meanwhile.
 * @throws EventDamaged when an event that stays is not what was written: nothing from its segment on is touched
 */
export async function scavenge(options: ScavengeOptions): Promise<ScavengeResult> {
  const { engine, indexer, segmentBytes } = options;
  await indexer.settled;
  const filesBefore = indexer.closed.length + 1;
  const plan = await inTurns(planScavenge({ engine, closed: [...indexer.closed], segmentBytes }));
  let removedEvents = 0;
  let freedBytes = 0;
  for (const group of plan.groups) {
    if (options.isStopped()) break;
    if (!(await rewrite(group, plan, options))) break;
    removedEvents += group.removableEvents;
    freedBytes += group.removableBytes;
  }
  await indexer.settled;
  return { removedEvents, freedBytes, filesBefore, filesAfter: indexer.closed.length + 1, isStopped: options.isStopped() };
}

/** @returns false when it was stopped before anything was replaced */
async function rewrite(group: ScavengeGroup, plan: ScavengePlan, options: ScavengeOptions): Promise<boolean> {
  const { engine, indexer, files, partPath } = options;
  const { base } = group.segments[0] as ClosedSegment;
  const { end } = group.segments[group.segments.length - 1] as ClosedSegment;
  const kept = await inTurns(keptRuns(engine, group, plan));
  const range: ScavengedRange = { base, end, gaps: gapsBetween(kept, { base, end }) };
  try {
    const bytes = await copy(kept, range, options);
    // What made these events invisible was perhaps not on the disk yet when that was decided.
    await engine.durable();
    if (options.isStopped()) return false;
    await inTurns(forget(engine, group, plan));
    options.replace(partPath, range);
    indexer.replace(group.segments, bytes);
    return true;
  } finally {
    files.remove(partPath);
  }
}

interface Run {
  readonly start: number;
  end: number;
}

/** Records that stay and lie side by side, in runs of bounded length. */
function* keptRuns(engine: StoreEngine, { segments }: ScavengeGroup, plan: ScavengePlan): Generator<void, readonly Run[]> {
  const { columns } = engine.index;
  const runs: Run[] = [];
  let last: Run | undefined;
  for (const { firstEvent, endEvent } of segments) {
    for (let event = firstEvent; event < endEvent; event += 1) {
      if (event % EVENTS_A_TURN === 0) yield;
      if (plan.isRemovable(event) || columns.isRemoved(event)) continue;
      const start = columns.position(event);
      const end = start + columns.length(event);
      if (last !== undefined && last.end === start && end - last.start <= COPY_BYTES) last.end = end;
      else runs.push((last = { start, end }));
    }
  }
  return runs;
}

function gapsBetween(runs: readonly Run[], { base, end }: { readonly base: number; readonly end: number }): Gaps {
  const gaps: { start: number; end: number }[] = [];
  let reached = base;
  for (const run of runs) {
    if (run.start > reached) gaps.push({ start: reached, end: run.start });
    reached = run.end;
  }
  if (reached < end) gaps.push({ start: reached, end });
  return Gaps.of(gaps);
}

/** @returns the size of the file, which is durable then */
async function copy(runs: readonly Run[], range: ScavengedRange, options: ScavengeOptions): Promise<number> {
  const { engine, files, partPath } = options;
  const file = files.open(partPath, 'create');
  try {
    const head = encodeScavengedHead(range);
    file.write(head, 0);
    let at = head.length;
    let syncedAt = 0;
    let turnAt = 0;
    for (const { start, end } of runs) {
      file.write(engine.bytes(start, end - start), at);
      at += end - start;
      if (at - turnAt < COPY_BYTES) continue;
      turnAt = at;
      if (options.isStopped()) break;
      if (at - syncedAt < SYNC_BYTES) await new Promise((resolve) => setImmediate(resolve));
      else {
        await file.sync();
        syncedAt = at;
      }
    }
    await file.sync();
    return at;
  } finally {
    file.close();
  }
}

function* forget(engine: StoreEngine, { segments }: ScavengeGroup, plan: ScavengePlan): Generator<void, void> {
  for (const { firstEvent, endEvent } of segments) {
    for (let event = firstEvent; event < endEvent; event += 1) {
      if (plan.isRemovable(event)) engine.index.remove(event);
      if (event % EVENTS_A_TURN === 0) yield;
    }
  }
}
