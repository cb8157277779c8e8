/** What a subscription has delivered, to wait for without a clock. */
export class Collected<T> {
  readonly items: T[] = [];
  private hasCaughtUp = false;
  private waiting: { readonly isMet: () => boolean; readonly resolve: () => void }[] = [];

  add(item: T): void {
    this.items.push(item);
    this.check();
  }

  caughtUp(): void {
    this.hasCaughtUp = true;
    this.check();
  }

  /** The first `count` items, once there are that many. */
  async first(count: number): Promise<T[]> {
    await this.until(() => this.items.length >= count);
    return this.items.slice(0, count);
  }

  untilCaughtUp(): Promise<void> {
    return this.until(() => this.hasCaughtUp);
  }

  private until(isMet: () => boolean): Promise<void> {
    if (isMet()) return Promise.resolve();
    return new Promise((resolve) => {
      this.waiting.push({ isMet, resolve });
    });
  }

  private check(): void {
    const met = this.waiting.filter(({ isMet }) => isMet());
    this.waiting = this.waiting.filter((waiter) => !met.includes(waiter));
    for (const { resolve } of met) resolve();
  }
}
