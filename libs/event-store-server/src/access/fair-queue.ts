/**
 * One task at a time, and each name in its turn: whoever floods one name delays the others by one task each,
 * and what waits under a name is bounded.
 */
export class FairQueue {
  private readonly waiting = new Map<string, (() => Promise<void>)[]>();
  private isRunning = false;

  constructor(private readonly waitingMax: number) {}

  /** @returns false when too much waits under this name already */
  add(name: string, task: () => Promise<void>): boolean {
    const tasks = this.waiting.get(name) ?? [];
    if (tasks.length >= this.waitingMax) return false;
    tasks.push(task);
    this.waiting.set(name, tasks);
    if (!this.isRunning) void this.run();
    return true;
  }

  private async run(): Promise<void> {
    this.isRunning = true;
    for (let task = this.take(); task !== undefined; task = this.take()) await task().catch(() => undefined);
    this.isRunning = false;
  }

  private take(): (() => Promise<void>) | undefined {
    for (const [name, tasks] of this.waiting) {
      const task = tasks.shift();
      // A name that waits on goes to the back.
      this.waiting.delete(name);
      if (tasks.length > 0) this.waiting.set(name, tasks);
      return task;
    }
    return undefined;
  }
}
