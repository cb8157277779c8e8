/** Stretches of the log that a scavenge took away, ascending; no two of them touch. */
export class Gaps {
  private constructor(
    private readonly starts: Float64Array,
    private readonly ends: Float64Array,
    /** How much is gone up to the end of each gap. */
    private readonly gone: Float64Array,
  ) {}

  static of(ranges: readonly { readonly start: number; readonly end: number }[]): Gaps {
    const starts = new Float64Array(ranges.length);
    const ends = new Float64Array(ranges.length);
    const gone = new Float64Array(ranges.length);
    let total = 0;
    for (const [at, { start, end }] of ranges.entries()) {
      starts[at] = start;
      ends[at] = end;
      total += end - start;
      gone[at] = total;
    }
    return new Gaps(starts, ends, gone);
  }

  get count(): number {
    return this.starts.length;
  }

  get bytes(): number {
    return this.gone[this.count - 1] ?? 0;
  }

  start(gap: number): number {
    return this.starts[gap] ?? Number.POSITIVE_INFINITY;
  }

  end(gap: number): number {
    return this.ends[gap] ?? Number.POSITIVE_INFINITY;
  }

  /** Bytes that are gone before `position`, which lies in no gap. */
  before(position: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.starts[middle] as number) < position) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? 0 : (this.gone[low - 1] as number);
  }
}

export const NO_GAPS = Gaps.of([]);

/** Goes from record to record over what is there. */
export class RecordWalk {
  private gap = 0;
  private nextGap: number;

  constructor(
    private readonly gaps: Gaps,
    /** Where the next record begins. */
    public position: number,
  ) {
    this.nextGap = gaps.start(0);
    this.skip();
  }

  /** Past a record of `length` bytes. */
  advance(length: number): void {
    this.position += length;
    this.skip();
  }

  /** To where a record begins. */
  seek(position: number): void {
    this.position = position;
    while (this.gaps.end(this.gap) <= position) this.gap += 1;
    this.nextGap = this.gaps.start(this.gap);
  }

  private skip(): void {
    if (this.position !== this.nextGap) return;
    this.position = this.gaps.end(this.gap);
    this.gap += 1;
    this.nextGap = this.gaps.start(this.gap);
  }
}
