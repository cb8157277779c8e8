import { Terminal, type Host } from '@perdure/kernel';
import type { Divergence } from '@perdure/run-contract';
import * as entry from './entries';
import { freshValue } from './open-calls';
import { versionCall, type ReplayJournal } from './replay-journal';

/** The versions of a piece of code that it still knows. */
export interface VersionRange {
  readonly min: number;
  readonly max: number;
}

/** Where values are compared with what is recorded, and recorded. */
export interface ValueDesk {
  readonly host: Host;
  /** Undefined when nothing is replayed any more. */
  replay(): ReplayJournal | undefined;
  /** The code has made a call, of whatever kind. @throws Terminal `CodeDiverged` when it is stopped already */
  calls(): void;
  record(text: string): void;
  diverge(divergence: Divergence): void;
}

/**
 * What code asks of its surroundings and must be told again when it runs again.
 *
 * 1. A value is recorded where it is first asked for; on replay the code is given the recorded one.
 * 2. A version has a name instead of a number, so that asking for it may be put into code that is under way, and taken out
 *    again. Each name has one answer in a run.
 * 3. Code that comes by on replay, with more of its journal to come and no version recorded here, was here before the change:
 *    it goes on as `min`. So does its next replay, which has no less to come.
 */
export class JournaledValues {
  private readonly versions = new Map<string, number>();

  constructor(private readonly desk: ValueDesk) {}

  value(call: string, name: 'now' | 'random' | 'uuid'): unknown {
    this.desk.calls();
    const replay = this.desk.replay();
    if (replay !== undefined) {
      const difference = replay.make({ call, kind: 'value', name });
      if (difference !== undefined) this.diverge(difference);
      if (replay.find(call) === 'ended') return replay.valueOf(call);
    }
    const value = freshValue(this.desk.host, name);
    this.desk.record(entry.valueEntry(call, name, value));
    return value;
  }

  version(changeId: string, range: VersionRange): number {
    this.desk.calls();
    const version = this.versions.get(changeId) ?? this.firstVersion(changeId, range);
    const { min, max } = range;
    if (version < min || version > max) {
      const known = min === max ? `version ${min}` : `versions ${min} to ${max}`;
      const expected = `version ${version} of ${changeId}`;
      this.diverge({
        call: versionCall(changeId),
        expected,
        found: `code that knows ${known}`,
        position: this.positionOf(changeId),
      });
    }
    this.versions.set(changeId, version);
    return version;
  }

  private firstVersion(changeId: string, { min, max }: VersionRange): number {
    const call = versionCall(changeId);
    const replay = this.desk.replay();
    if (replay !== undefined) {
      const recorded = replay.versionOf(changeId);
      if (recorded !== undefined) return recorded;
      if (replay.hasMore) return min;
    }
    this.desk.record(entry.valueEntry(call, `version ${changeId}`, max));
    return max;
  }

  private positionOf(changeId: string): number {
    return this.desk.replay()?.positionOf(versionCall(changeId)) ?? 0;
  }

  private diverge(divergence: Divergence): never {
    this.desk.diverge(divergence);
    throw codeDiverged();
  }
}

export function codeDiverged(): Terminal {
  return new Terminal('CodeDiverged', 'The code has diverged from its journal; it is stopped here.');
}

/** Names of changes: they become part of a call id. */
const CHANGE_ID_LENGTH_MAX = 100;

/** @throws Terminal `InvalidVersion` */
export function checkVersion(changeId: string, { min, max }: VersionRange): void {
  const isNamed = changeId.length >= 1 && changeId.length <= CHANGE_ID_LENGTH_MAX;
  if (isNamed && Number.isSafeInteger(min) && Number.isSafeInteger(max) && min <= max) return;
  throw new Terminal(
    'InvalidVersion',
    `A version has a name of 1 to ${CHANGE_ID_LENGTH_MAX} characters and whole numbers min <= max; got ${JSON.stringify(changeId).slice(0, 120)}, ${min}, ${max}.`,
  );
}
