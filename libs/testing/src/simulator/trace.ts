/** Lines kept for whoever reads a failure. */
const LINES_KEPT = 200;

/** What happened, in order: a hash over all of it, and its last lines. */
export class Trace {
  private high = 0x811c9dc5;
  private low = 0x01000193;
  private readonly lines: string[] = [];
  private count = 0;

  constructor(private readonly onLine?: (line: string) => void) {}

  add(line: string): void {
    let { high, low } = this;
    for (let index = 0; index < line.length; index += 1) {
      const code = line.charCodeAt(index);
      high = Math.imul(high ^ code, 0x01000193);
      low = Math.imul(low ^ code, 0x5bd1e995) ^ (low >>> 15);
    }
    this.high = high;
    this.low = low;
    this.lines[this.count % LINES_KEPT] = line;
    this.count += 1;
    this.onLine?.(line);
  }

  get events(): number {
    return this.count;
  }

  get hash(): string {
    return (this.high >>> 0).toString(16).padStart(8, '0') + (this.low >>> 0).toString(16).padStart(8, '0');
  }

  /** Oldest first. */
  last(wanted: number = LINES_KEPT): readonly string[] {
    const from = Math.max(0, this.count - Math.min(wanted, LINES_KEPT));
    return Array.from({ length: this.count - from }, (_, index) => this.lines[(from + index) % LINES_KEPT] ?? '');
  }
}
