import type { Cancel, Host } from '@perdure/kernel';

/** Callers that wait for a run to end. */
export class Waiters {
  private readonly waiting = new Map<string, Set<() => void>>();

  constructor(private readonly host: Pick<Host, 'timers'>) {}

  has(key: string): boolean {
    return this.waiting.has(key);
  }

  /** Resolves when the run ends, or after `holdMs`. */
  wait(key: string, holdMs: number): Promise<void> {
    return new Promise((resolve) => {
      let cancel: Cancel = () => undefined;
      const done = (): void => {
        cancel();
        this.forget(key, done);
        resolve();
      };
      cancel = this.host.timers.after(holdMs, done);
      const waiting = this.waiting.get(key) ?? new Set();
      this.waiting.set(key, waiting.add(done));
    });
  }

  wake(key: string): void {
    for (const done of this.waiting.get(key) ?? []) done();
  }

  private forget(key: string, done: () => void): void {
    const waiting = this.waiting.get(key);
    waiting?.delete(done);
    if (waiting?.size === 0) this.waiting.delete(key);
  }
}
