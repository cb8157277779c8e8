import type { Waiting } from './message';

/** What is handed out before anything new: by place, and behind that what was parked before. */
export class RetryList {
  private items: Waiting[] = [];

  get size(): number {
    return this.items.length;
  }

  get first(): Waiting | undefined {
    return this.items[0];
  }

  add(waiting: Waiting): void {
    let low = 0;
    let high = this.items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isBefore(waiting, this.items[middle] as Waiting)) high = middle;
      else low = middle + 1;
    }
    this.items.splice(low, 0, waiting);
  }

  /** Offers each in order: `keep` leaves it, `stop` leaves it and all behind it. */
  drain(offer: (waiting: Waiting) => 'taken' | 'keep' | 'stop'): void {
    const kept: Waiting[] = [];
    for (let at = 0; at < this.items.length; at += 1) {
      const waiting = this.items[at] as Waiting;
      const answer = offer(waiting);
      if (answer === 'taken') continue;
      if (answer === 'stop') {
        if (kept.length === at) return;
        this.items = kept.concat(this.items.slice(at));
        return;
      }
      kept.push(waiting);
    }
    this.items = kept;
  }
}

function isBefore(left: Waiting, right: Waiting): boolean {
  if (left.message.isReplayed !== right.message.isReplayed) return right.message.isReplayed;
  return left.message.place < right.message.place;
}
