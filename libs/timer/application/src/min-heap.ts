/** A binary heap: the least key first; equal keys in any order. */
export class MinHeap<T> {
  private readonly keys: number[] = [];
  private readonly items: T[] = [];

  get size(): number {
    return this.items.length;
  }

  get leastKey(): number | undefined {
    return this.keys[0];
  }

  push(key: number, item: T): void {
    let place = this.items.length;
    this.keys.push(key);
    this.items.push(item);
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (this.keyAt(parent) <= key) break;
      this.move(parent, place);
      place = parent;
    }
    this.keys[place] = key;
    this.items[place] = item;
  }

  /** Takes the least. */
  pop(): T | undefined {
    const least = this.items[0];
    const key = this.keys.pop();
    const item = this.items.pop();
    if (this.items.length > 0 && key !== undefined && item !== undefined) this.sink(key, item);
    return least;
  }

  clear(): void {
    this.keys.length = 0;
    this.items.length = 0;
  }

  /** Puts the last one in at the top, and lets it sink to its place. */
  private sink(key: number, item: T): void {
    let place = 0;
    for (;;) {
      const left = 2 * place + 1;
      if (left >= this.items.length) break;
      const child = left + 1 < this.items.length && this.keyAt(left + 1) < this.keyAt(left) ? left + 1 : left;
      if (this.keyAt(child) >= key) break;
      this.move(child, place);
      place = child;
    }
    this.keys[place] = key;
    this.items[place] = item;
  }

  private move(from: number, to: number): void {
    this.keys[to] = this.keyAt(from);
    this.items[to] = this.items[from] as T;
  }

  private keyAt(place: number): number {
    return this.keys[place] ?? Number.POSITIVE_INFINITY;
  }
}
