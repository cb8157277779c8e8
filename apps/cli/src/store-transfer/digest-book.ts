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
  /** One character a byte. */
  chain: string;
}

/** Of each digest: what is compared are accidents, not attacks. */
const CHAIN_CHARACTERS = 16;

/** One chained digest a stream: what events it holds, in which order. */
export class DigestBook {
  private readonly digests = new Map<string, Digest>();

  /** Events of one stream come in the order of their revisions; others than the next one are passed over. */
  add({ stream, revision, id, type, data, metadata }: DigestedEvent): void {
    const digest = this.digests.get(stream) ?? { count: 0, chain: '' };
    if (revision !== digest.count) return;
    const lengths = `${id.toLowerCase()} ${type} ${data.length} ${metadata.length} `;
    const hash = createHash('sha256').update(digest.chain, 'latin1').update(lengths).update(data).update(metadata);
    const chain = hash.digest('binary').slice(0, CHAIN_CHARACTERS);
    this.digests.set(stream, { count: digest.count + 1, chain });
  }

  countOf(stream: string): number {
    return this.digests.get(stream)?.count ?? 0;
  }

  /** Streams of this book that the other one does not have in the same way. */
  differencesIn(other: DigestBook): readonly string[] {
    const differ = ([stream, { count, chain }]: [string, Digest]): boolean => {
      const found = other.digests.get(stream);
      return found === undefined || found.count !== count || found.chain !== chain;
    };
    return [...this.digests].filter(differ).map(([stream]) => stream);
  }
}
