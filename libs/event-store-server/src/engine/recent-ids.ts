const WORDS = 6;
const WAYS = 4;
const SET_BITS = 15;
const SETS = 1 << SET_BITS;
export const RECENT_IDS_MAX = SETS * WAYS;

/**
 * A bounded memory of event ids, for appends that expect no exact revision: which event of which stream
 * carried this id last. Best effort by design, like the id cache of EventStoreDB: the oldest of a set gives way, so
 * that all ids of one large append are known together.
 */
export class RecentIds {
  private readonly table = new Uint32Array(SETS * WAYS * WORDS);

  remember(id: Buffer, stream: number, event: number): void {
    const at = this.placeFor(id, stream);
    for (let word = 0; word < 4; word += 1) this.table[at + word] = id.readUInt32LE(word * 4);
    this.table[at + 4] = stream;
    this.table[at + 5] = event + 1;
  }

  /** Undefined when it is not known (any more). */
  find(id: Buffer, stream: number): number | undefined {
    const first = this.setOf(id, stream) * WAYS * WORDS;
    for (let at = first; at < first + WAYS * WORDS; at += WORDS) {
      if (this.table[at + 5] === 0 || this.table[at + 4] !== stream) continue;
      if (this.matches(at, id)) return (this.table[at + 5] as number) - 1;
    }
    return undefined;
  }

  /** Forgets events numbered `firstWithdrawn` and later. */
  withdraw(firstWithdrawn: number): void {
    for (let at = 5; at < this.table.length; at += WORDS) {
      if ((this.table[at] as number) > firstWithdrawn) this.table[at] = 0;
    }
  }

  /** Where this id is already, or else the oldest entry of its set. */
  private placeFor(id: Buffer, stream: number): number {
    const first = this.setOf(id, stream) * WAYS * WORDS;
    let oldest = first;
    for (let at = first; at < first + WAYS * WORDS; at += WORDS) {
      if (this.table[at + 4] === stream && this.matches(at, id)) return at;
      if ((this.table[at + 5] as number) < (this.table[oldest + 5] as number)) oldest = at;
    }
    return oldest;
  }

  private matches(at: number, id: Buffer): boolean {
    for (let word = 0; word < 4; word += 1) {
      if (this.table[at + word] !== id.readUInt32LE(word * 4)) return false;
    }
    return true;
  }

  private setOf(id: Buffer, stream: number): number {
    let hash = stream;
    for (let word = 0; word < 4; word += 1) hash = Math.imul(hash ^ id.readUInt32LE(word * 4), 0x9e3779b1) ^ (hash >>> 15);
    // The high bits depend on all bits of the id, the low ones do not: ids that count upwards must not share a set.
    return Math.imul(hash ^ (hash >>> 15), 0x85ebca6b) >>> (32 - SET_BITS);
  }
}
