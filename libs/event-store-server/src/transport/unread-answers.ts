/** What all clients together may leave unread. */
const UNREAD_BYTES_MAX = 256 * 1024 * 1024;

/** Who has been written to and has not taken it. */
export interface SlowReader {
  /** Ends at once; what it has not read is forgotten. */
  abandon(): void;
}

/** Beyond the bound those are ended that have taken nothing for the longest time: they may come again, and go on where they were. */
export class UnreadAnswers {
  /** In the order in which they were last written to. */
  private readonly readers = new Map<SlowReader, number>();
  private total = 0;

  constructor(private readonly bytesMax = UNREAD_BYTES_MAX) {}

  hold(reader: SlowReader, bytes: number): void {
    this.release(reader);
    this.readers.set(reader, bytes);
    this.total += bytes;
    if (this.total <= this.bytesMax) return;
    for (const [slowest] of this.readers) {
      if (this.total <= this.bytesMax) return;
      this.release(slowest);
      slowest.abandon();
    }
  }

  release(reader: SlowReader): void {
    this.total -= this.readers.get(reader) ?? 0;
    this.readers.delete(reader);
  }
}

/** Memory belongs to the process: all servers in it share this. */
export const UNREAD = new UnreadAnswers();
