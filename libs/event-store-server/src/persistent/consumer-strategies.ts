import type { StrategyName } from '../wire/persistent-requests';

/** Who may get a message. */
export interface Candidate {
  /** Stays the same as long as it is connected. */
  readonly key: string;
  readonly hasCapacity: boolean;
}

/** `skip`: not this message now, but others may go out. `full`: nobody takes anything. */
export type Choice<C extends Candidate> = C | 'skip' | 'full';

export interface ConsumerStrategy<C extends Candidate> {
  add(candidate: C): void;
  remove(candidate: C): void;
  choose(bucket: number): Choice<C>;
}

/** Parts into which pinning divides the events; EventStoreDB has as many. */
export const BUCKETS = 1024;

export function consumerStrategy<C extends Candidate>(name: StrategyName): ConsumerStrategy<C> {
  switch (name) {
    case 'RoundRobin':
      return new InTurn<C>('next');
    case 'DispatchToSingle':
      return new InTurn<C>('same');
    case 'Pinned':
    case 'PinnedByCorrelation':
      return new Pinned<C>();
  }
}

/** The same text always gives the same bucket. */
export function bucketOf(text: string): number {
  return hashText(text) % BUCKETS;
}

/** After a message the turn is at the next one, or stays until that consumer is full. */
class InTurn<C extends Candidate> implements ConsumerStrategy<C> {
  private readonly candidates: C[] = [];
  private turn = 0;

  constructor(private readonly after: 'next' | 'same') {}

  add(candidate: C): void {
    this.candidates.push(candidate);
  }

  remove(candidate: C): void {
    const at = this.candidates.indexOf(candidate);
    if (at < 0) return;
    this.candidates.splice(at, 1);
    if (at < this.turn) this.turn -= 1;
    if (this.turn >= this.candidates.length) this.turn = 0;
  }

  choose(): Choice<C> {
    const count = this.candidates.length;
    for (let step = 0; step < count; step += 1) {
      const at = (this.turn + step) % count;
      const candidate = this.candidates[at] as C;
      if (!candidate.hasCapacity) continue;
      this.turn = this.after === 'next' ? (at + 1) % count : at;
      return candidate;
    }
    return 'full';
  }
}

/**
 * Each bucket belongs to the candidate with the highest score for it: who comes takes only its share, who
 * goes leaves only its own, and all other buckets stay where they were.
 */
class Pinned<C extends Candidate> implements ConsumerStrategy<C> {
  private readonly candidates = new Map<C, number>();
  private readonly owners: (C | undefined)[] = Array.from({ length: BUCKETS });

  add(candidate: C): void {
    this.candidates.set(candidate, hashText(candidate.key));
    this.assign();
  }

  remove(candidate: C): void {
    this.candidates.delete(candidate);
    this.assign();
  }

  choose(bucket: number): Choice<C> {
    const owner = this.owners[bucket];
    if (owner?.hasCapacity === true) return owner;
    for (const candidate of this.candidates.keys()) if (candidate.hasCapacity) return 'skip';
    return 'full';
  }

  private assign(): void {
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) this.owners[bucket] = this.bestFor(bucket);
  }

  private bestFor(bucket: number): C | undefined {
    let best: C | undefined;
    let bestScore = -1;
    for (const [candidate, hash] of this.candidates) {
      const score = mixed(hash ^ Math.imul(bucket + 1, 0x9e3779b1));
      if (score <= bestScore) continue;
      best = candidate;
      bestScore = score;
    }
    return best;
  }
}

/** FNV-1a, public domain, over UTF-16 units; its low bits alone are poor, so they are mixed. */
function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return mixed(hash);
}

function mixed(hash: number): number {
  let bits = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
