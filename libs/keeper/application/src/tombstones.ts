/**
 * Closed for good, up to a revision: what an older open must not bring back to life.
 *
 * The log tells a story in order, the bus may tell its end first. An end that came from the bus is remembered until the
 * log has told it too and two checkpoints have passed, by when even a late hint of the beginning has gone by.
 */
export class Tombstones {
  private readonly ends = new Map<string, { revision: number; confirmedAtSweep: number | undefined; toldAtSweep: number }>();
  private sweeps = 0;

  constructor(
    /** Beyond it the oldest is forgotten; the price is one needless command, refused by its receiver. */
    private readonly max: number = TOMBSTONES_MAX,
  ) {}

  get size(): number {
    return this.ends.size;
  }

  /** `confirmed`: the log has told it, so nothing older can come from there. */
  bury(id: string, revision: number, confirmed: boolean): void {
    const known = this.ends.get(id);
    const confirmedAtSweep = confirmed ? this.sweeps : known?.confirmedAtSweep;
    this.ends.set(id, { revision: Math.max(revision, known?.revision ?? 0), confirmedAtSweep, toldAtSweep: this.sweeps });
    if (this.ends.size > this.max) this.forgetOldest();
  }

  covers(id: string, revision: number): boolean {
    const end = this.ends.get(id);
    return end !== undefined && revision <= end.revision;
  }

  /** Once a checkpoint. */
  sweep(): void {
    for (const [id, { confirmedAtSweep, toldAtSweep }] of this.ends) {
      const passed =
        confirmedAtSweep === undefined ? this.sweeps - toldAtSweep >= UNCONFIRMED_SWEEPS : confirmedAtSweep < this.sweeps;
      if (passed) this.ends.delete(id);
    }
    this.sweeps += 1;
  }

  clear(): void {
    this.ends.clear();
  }

  private forgetOldest(): void {
    for (const id of this.ends.keys()) {
      this.ends.delete(id);
      return;
    }
  }
}

/** Ten minutes of checkpoints: an end that the log has not told by then was never written there by itself. */
const UNCONFIRMED_SWEEPS = 20;

/** About 10 MB: more ends than that between two checkpoints is beyond what one log carries. */
export const TOMBSTONES_MAX = 200_000;
