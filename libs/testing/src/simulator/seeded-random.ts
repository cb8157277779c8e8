/** Chance from a seed. Each concern draws from a stream of its own, so that a new kind of fault shifts no other. */
export class SeededRandom {
  private state: number;

  constructor(private readonly seed: number) {
    this.state = mix(seed);
  }

  /** A stream that depends on this seed and the name alone, not on what was drawn before. */
  split(concern: string): SeededRandom {
    let hash = 0x811c9dc5 ^ this.seed;
    for (let index = 0; index < concern.length; index += 1) hash = Math.imul(hash ^ concern.charCodeAt(index), 0x01000193);
    return new SeededRandom(hash >>> 0);
  }

  /** Uniform in [0, 1). Source: mulberry32 (Tommy Ettinger, public domain). */
  fraction(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    const { state } = this;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  between(from: number, to: number): number {
    return from + (to - from) * this.fraction();
  }

  /** Uniform in [from, to], whole numbers. */
  integer(from: number, to: number): number {
    return from + Math.floor(this.fraction() * (to - from + 1));
  }

  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError('Nothing to pick from.');
    return items[Math.floor(this.fraction() * items.length)] as T;
  }

  /** Gaps of a process without memory. */
  exponential(mean: number): number {
    return -Math.log(1 - this.fraction()) * mean;
  }
}

/** Neighbouring seeds must not begin alike. */
function mix(seed: number): number {
  let mixed = (seed ^ 0x9e3779b9) >>> 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
