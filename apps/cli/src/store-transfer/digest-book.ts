import { createHash } from 'node:crypto';

export interface DigestedEvent {
  readonly stream: string;
  readonly revision: number;
  readonly id: string;
  readonly type: string;
  readonly data: Buffer;
  readonly metadata: Buffer;
}

interface Digest {
  count: number;
  chain: Buffer;
}

const START = Buffer.alloc(0);
/** Of each digest: what is compared are accidents, not attacks. */
const CHAIN_BYTES = 16;

/** One chained digest a stream: what events it holds, in which order. */
export class DigestBook {
  private readonly digests = new Map<string, Digest>();

  /** Events of one stream come in the order of their revisions; others than the next one are passed over. */
  add({ stream, revision, id, type, data, metadata }: DigestedEvent): void {
    const digest = this.digests.get(stream) ?? { count: 0, chain: START };
    if (revision !== digest.count) return;
    const lengths = `${id.toLowerCase()} ${type} ${data.length} ${metadata.length} `;
    const chain = createHash('sha256').update(digest.chain).update(lengths).update(data).update(metadata).digest();
    this.digests.set(stream, { count: digest.count + 1, chain: chain.subarray(0, CHAIN_BYTES) });
  }

  countOf(stream: string): number {
    return this.digests.get(stream)?.count ?? 0;
  }

  /** Streams of this book that the other one does not have in the same way. */
  differencesIn(other: DigestBook): readonly string[] {
    const differ = ([stream, { count, chain }]: [string, Digest]): boolean => {
      const found = other.digests.get(stream);
      return found === undefined || found.count !== count || !found.chain.equals(chain);
    };
    return [...this.digests].filter(differ).map(([stream]) => stream);
  }
}
