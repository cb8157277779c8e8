import { PerdureError, Terminal, type BlobStore, type EventStore, type Host, type KeyRing } from '@perdure/kernel';
import { journalItem, snapshotStream, type JournalItem, type RunAddress } from '@perdure/run-contract';
import {
  isOpen,
  journalFrom,
  sealOldest,
  tailItems,
  type OpenCall,
  type OpenRun,
  type OpenTimer,
  type RunState,
  type SegmentReference,
} from '@perdure/run-domain';
import { fullSegments } from './journal-segments';

/**
 * Snapshots make the cost of going on independent of how long a run has lived. They are a cache: every one of
 * them may be lost. Sealed segments of the journal are immutable blobs, so a snapshot writes only what is new, and a
 * worker is given a journal of any length in messages of bounded size.
 */

/** Facts between two snapshots of a run. */
export const SNAPSHOT_EVERY = 500;
/** Shape of what is stored below; another number is not read. */
const FOLD_VERSION = 21;

interface StoredSnapshot {
  readonly foldVersion: number;
  readonly revision: number;
  /** Reference of the state, as JSON with maps as entries and the journal as segments and tail. */
  readonly blob: string;
}

export class Snapshots {
  constructor(
    private readonly ports: {
      readonly store: EventStore;
      readonly blobs: BlobStore;
      readonly keys?: KeyRing;
      readonly host: Host;
    },
  ) {}

  async load(address: RunAddress): Promise<OpenRun | undefined> {
    try {
      const [newest] = await this.ports.store.read(snapshotStream.build(address), {
        direction: 'backward',
        from: 'end',
        limit: 1,
      });
      const stored = newest?.data as StoredSnapshot | undefined;
      if (stored?.foldVersion !== FOLD_VERSION) return undefined;
      const text = await this.fetch(address, stored.blob);
      return text === undefined ? undefined : thaw(text);
    } catch (error) {
      this.ports.host.log.warn('snapshot not readable: folding from the start', {
        runId: address.runId,
        reason: reasonOf(error),
      });
      return undefined;
    }
  }

  /** Seals full segments of the journal and stores the state. The state that it returns folds on like the given one. */
  async save(address: RunAddress, state: RunState): Promise<RunState> {
    if (!isOpen(state)) return state;
    const sealed = await this.seal(address, state);
    const blob = await this.keep(address, freeze(sealed));
    if (blob === undefined) throw new Terminal('KeyErased', 'The data key of the run is gone: what derives from it is not kept.');
    const data: StoredSnapshot = { foldVersion: FOLD_VERSION, revision: sealed.revision, blob };
    const stream = snapshotStream.build(address);
    if (sealed.revision < 2 * SNAPSHOT_EVERY) await this.ports.store.setStreamMetadata(stream, { maxCount: 1 });
    await this.ports.store.append(stream, 'any', [
      {
        id: this.ports.host.entropy.uuid(),
        type: 'RunSnapshotTaken',
        data,
        metadata: { schemaVersion: FOLD_VERSION, tenant: address.tenant },
      },
    ]);
    return sealed;
  }

  async segment(address: RunAddress, run: OpenRun, index: number): Promise<readonly JournalItem[] | undefined> {
    const text = await this.segmentText(address, run, index);
    return text === undefined ? undefined : journalItem.array().parse(JSON.parse(text));
  }

  /** As JSON, for whoever passes it on to one who parses it. */
  async segmentText(address: RunAddress, run: OpenRun, index: number): Promise<string | undefined> {
    const reference = run.journal.segments[index];
    return reference === undefined ? undefined : this.fetch(address, reference.blob);
  }

  /** The same state with less than a segment in the tail of its journal, however long that was. @throws PayloadsUnavailable */
  async seal(address: RunAddress, run: OpenRun): Promise<OpenRun> {
    const references: SegmentReference[] = [];
    for (const { items, text } of fullSegments(tailItems(run.journal))) {
      const blob = await this.keep(address, text);
      // What was erased does not grow: it stays in the tail, as the marker that it is.
      if (blob === undefined) break;
      references.push({ blob, items });
    }
    return { ...run, journal: sealOldest(run.journal, references) };
  }

  /** What a run's payloads are sealed with also seals what is derived from them; undefined when that is gone. */
  private async keep(address: RunAddress, text: string): Promise<string | undefined> {
    const { keys, blobs } = this.ports;
    if (keys === undefined) return blobs.put(address.tenant, text);
    const sealed = await keys.seal(address.tenant, address.runId, text);
    return sealed === undefined ? undefined : blobs.put(address.tenant, sealed);
  }

  private async fetch(address: RunAddress, reference: string): Promise<string | undefined> {
    const text = await this.ports.blobs.get(address.tenant, reference);
    if (text === undefined || this.ports.keys === undefined) return text;
    return this.ports.keys.open(address.tenant, address.runId, text);
  }
}

function freeze(run: OpenRun): string {
  const { calls, timers, journal, ...rest } = run;
  return JSON.stringify({
    ...rest,
    calls: [...calls],
    timers: [...timers],
    segments: journal.segments,
    tail: tailItems(journal),
  });
}

interface FrozenRun extends Omit<OpenRun, 'calls' | 'timers' | 'journal'> {
  readonly calls: readonly [string, OpenCall][];
  readonly timers: readonly [string, OpenTimer][];
  readonly segments: readonly SegmentReference[];
  readonly tail: readonly JournalItem[];
}

function thaw(text: string): OpenRun {
  const { calls, timers, segments, tail, ...rest } = JSON.parse(text) as FrozenRun;
  const { lastWorkerId, pin, cancel } = rest;
  return {
    ...rest,
    lastWorkerId,
    pin,
    cancel,
    calls: new Map(calls),
    timers: new Map(timers),
    journal: journalFrom(segments, tail),
  } as OpenRun;
}

function reasonOf(error: unknown): string {
  return error instanceof PerdureError || error instanceof Error ? error.message : String(error);
}
