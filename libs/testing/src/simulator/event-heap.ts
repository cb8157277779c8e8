export interface HeapEntry {
  readonly atMs: number;
  /** Random: events of one moment come in no order that anybody could rely on. */
  readonly tie: number;
  readonly order: number;
}

/** A binary heap: the earliest first. */
export class EventHeap<T extends HeapEntry> {
  private readonly items: T[] = [];

  get size(): number {
    return this.items.length;
  }

  push(item: T): void {
    const { items } = this;
    let place = items.length;
    items.push(item);
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const above = items[parent] as T;
      if (!precedes(item, above)) break;
      items[place] = above;
      place = parent;
    }
    items[place] = item;
  }

  pop(): T | undefined {
    const { items } = this;
    const first = items[0];
    const last = items.pop();
    if (first === undefined || last === undefined || items.length === 0) return first;
    let place = 0;
    for (;;) {
      const child = this.earlierChild(place);
      if (child === undefined || !precedes(items[child] as T, last)) break;
      items[place] = items[child] as T;
      place = child;
    }
    items[place] = last;
    return first;
  }

  private earlierChild(place: number): number | undefined {
    const left = 2 * place + 1;
    if (left >= this.items.length) return undefined;
    const right = left + 1;
    const isRight = right < this.items.length && precedes(this.items[right] as T, this.items[left] as T);
    return isRight ? right : left;
  }
}

function precedes(left: HeapEntry, right: HeapEntry): boolean {
  if (left.atMs !== right.atMs) return left.atMs < right.atMs;
  return left.tie === right.tie ? left.order < right.order : left.tie < right.tie;
}
