import { InvariantViolated, type Json } from '@perdure/kernel';
import { Tombstones } from './tombstones';

/** Which promise: `group` ends as a whole (a run), `id` is unique within it, `revision` is that of the fact that opened it. */
export interface PromiseKey {
  readonly group: string;
  readonly id: string;
  readonly revision: number;
}

export interface OpenEntry<T> extends PromiseKey {
  readonly value: T;
}

/** Who says so: only the log tells everything, in order. */
export type Source = 'log' | 'hint';

/** Entries in one part of a snapshot: some 10 ms of work on a busy machine, and 260 KB. */
const PART_ENTRIES = 4_000;

/** How a value stands in a checkpoint. `decode` throws on what it does not know. */
export interface ValueCodec<T> {
  encode(value: T): Json;
  decode(json: Json): T;
}

/**
 * Open promises of many groups. Every change is idempotent by (group, id, revision) and indifferent to order: an open
 * that is older than a close already seen changes nothing, whoever tells it.
 */
export class PromiseIndex<T> {
  /** Most groups hold one promise: only a second one costs a map. */
  private readonly groups = new Map<string, OpenEntry<T> | Map<string, OpenEntry<T>>>();
  private readonly ends = new Tombstones();
  private readonly groupEnds = new Tombstones();
  private count = 0;

  constructor(private readonly codec: ValueCodec<T>) {}

  get size(): number {
    return this.count;
  }

  get tombstones(): number {
    return this.ends.size + this.groupEnds.size;
  }

  get(group: string, id: string): OpenEntry<T> | undefined {
    const held = this.groups.get(group);
    if (held instanceof Map) return held.get(id);
    return held?.id === id ? held : undefined;
  }

  /** @returns the new entry; undefined when it was open or closed already */
  open(key: PromiseKey, value: T): OpenEntry<T> | undefined {
    const { group, id, revision } = key;
    if (this.hasEnded(key)) return undefined;
    const present = this.get(group, id);
    if (present !== undefined && present.revision >= revision) return undefined;
    const entry: OpenEntry<T> = { group, id, revision, value };
    this.put(entry, present === undefined);
    return entry;
  }

  /** `key.revision`: of the fact that closes it. @returns what was open */
  close(key: PromiseKey, source: Source): OpenEntry<T> | undefined {
    const { group, id, revision } = key;
    this.ends.bury(endKey(group, id), revision, source === 'log');
    const present = this.get(group, id);
    if (present === undefined || present.revision > revision) return undefined;
    this.remove(present);
    return present;
  }

  /** The keeper has kept this promise; the fact that closes it is on its way. */
  settle(entry: OpenEntry<T>): void {
    if (this.get(entry.group, entry.id) === entry) this.close(entry, 'hint');
  }

  /** Out of memory, and not over: whoever calls this knows it elsewhere. */
  evict(entry: OpenEntry<T>): void {
    if (this.get(entry.group, entry.id) === entry) this.remove(entry);
  }

  /** Ends the whole group, opened or not. @returns what was open */
  closeGroup(group: string, revision: number, source: Source): readonly OpenEntry<T>[] {
    this.groupEnds.bury(group, revision, source === 'log');
    const held = this.groups.get(group);
    if (held === undefined) return [];
    const closed = held instanceof Map ? [...held.values()] : [held];
    this.groups.delete(group);
    this.count -= closed.length;
    return closed;
  }

  *entries(): Generator<OpenEntry<T>> {
    for (const held of this.groups.values()) {
      if (held instanceof Map) yield* held.values();
      else yield held;
    }
  }

  /** Once a checkpoint: lets go of the ends that the one before has passed. */
  sweepEnds(): void {
    this.ends.sweep();
    this.groupEnds.sweep();
  }

  /**
   * Once a checkpoint, part by part; it also sweeps the ends. The index may
   * change between two parts: what is open from beginning to end is in one of them.
   */
  *snapshotParts(): Generator<Json> {
    this.sweepEnds();
    // Groups that are added meanwhile stand behind those that are there now.
    let groupsLeft = this.groups.size;
    let open: Json[] = [];
    for (const held of this.groups.values()) {
      if (groupsLeft === 0) break;
      groupsLeft -= 1;
      for (const { group, id, revision, value } of held instanceof Map ? held.values() : [held]) {
        open.push([group, id, revision, this.codec.encode(value)]);
      }
      if (open.length < PART_ENTRIES) continue;
      yield { v: 1, open };
      open = [];
    }
    yield { v: 1, open };
  }

  /** Empty, as before the first fact. */
  clear(): void {
    this.groups.clear();
    this.ends.clear();
    this.groupEnds.clear();
    this.count = 0;
  }

  /** @throws InvariantViolated when the part is not one of this index */
  restorePart(part: Json): void {
    for (const item of openItems(part)) {
      const [group, id, revision, value] = Array.isArray(item) ? (item as readonly Json[]) : [];
      if (typeof group !== 'string' || typeof id !== 'string' || typeof revision !== 'number' || value === undefined) {
        throw new InvariantViolated('The snapshot of a promise index holds an entry that is none');
      }
      this.open({ group, id, revision }, this.codec.decode(value));
    }
  }

  /** Most of the time there are few ends, and none while an index is restored. */
  private hasEnded({ group, id, revision }: PromiseKey): boolean {
    if (this.groupEnds.size > 0 && this.groupEnds.covers(group, revision)) return true;
    return this.ends.size > 0 && this.ends.covers(endKey(group, id), revision);
  }

  private put(entry: OpenEntry<T>, isNew: boolean): void {
    const held = this.groups.get(entry.group);
    if (held instanceof Map) held.set(entry.id, entry);
    else if (held === undefined || held.id === entry.id) this.groups.set(entry.group, entry);
    else
      this.groups.set(
        entry.group,
        new Map([
          [held.id, held],
          [entry.id, entry],
        ]),
      );
    if (isNew) this.count += 1;
  }

  private remove(entry: OpenEntry<T>): void {
    const held = this.groups.get(entry.group);
    if (held instanceof Map && held.size > 1) held.delete(entry.id);
    else this.groups.delete(entry.group);
    this.count -= 1;
  }
}

function openItems(snapshot: Json): readonly Json[] {
  const { v, open } = (snapshot ?? {}) as { readonly v?: Json; readonly open?: Json };
  if (v !== 1 || !Array.isArray(open)) throw new InvariantViolated('Not a snapshot of a promise index, or of a later version');
  return open as readonly Json[];
}

/** Group and id are free text: the separator is one that neither contains. */
function endKey(group: string, id: string): string {
  return `${group}\n${id}`;
}
