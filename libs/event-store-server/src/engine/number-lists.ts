const CHUNK_BITS = 18;
const CHUNK = 1 << CHUNK_BITS;
const CHUNK_MASK = CHUNK - 1;
const FIRST_POWER = 1;

/** Where a list lies, and for how many numbers it has room: two to the power. */
export interface ListPlace {
  at: number;
  power: number;
}

/**
 * Growing lists of numbers below 2^32 in a few large arrays: a million short lists cost no million objects. A list that
 * is full moves to a place of twice the size; the old one is used again.
 */
export class NumberLists {
  private readonly chunks: Uint32Array[] = [];
  private used = 0;
  /** Places that were left, by their power. */
  private readonly free: number[][] = [];

  /** `count` = how many numbers the list holds already. */
  push(place: ListPlace, count: number, value: number): void {
    if (place.power < 0) this.place(place, FIRST_POWER);
    else if (count === 2 ** place.power) this.grow(place, count);
    this.set(place.at + count, value);
  }

  get({ at }: ListPlace, index: number): number {
    const place = at + index;
    return (this.chunks[Math.floor(place / CHUNK)] as Uint32Array)[place & CHUNK_MASK] as number;
  }

  private set(place: number, value: number): void {
    (this.chunks[Math.floor(place / CHUNK)] as Uint32Array)[place & CHUNK_MASK] = value;
  }

  private grow(place: ListPlace, count: number): void {
    const old = { ...place };
    this.place(place, old.power + 1);
    for (let index = 0; index < count; index += 1) this.set(place.at + index, this.get(old, index));
    (this.free[old.power] ??= []).push(old.at);
  }

  private place(place: ListPlace, power: number): void {
    place.power = power;
    place.at = this.free[power]?.pop() ?? this.newPlace(2 ** power);
  }

  /** A small list never spans two arrays; a large one begins where an array begins. */
  private newPlace(size: number): number {
    const left = this.chunks.length * CHUNK - this.used;
    if (size > left) {
      this.used = this.chunks.length * CHUNK;
      for (let added = 0; added < size; added += CHUNK) this.chunks.push(new Uint32Array(CHUNK));
    }
    const at = this.used;
    this.used += size;
    return at;
  }
}
