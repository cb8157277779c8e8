import { setTimeout as pause } from 'node:timers/promises';
import { PerdureError } from '@perdure/kernel';

const RETRY_MS = 100;

/** Asks again until there is an answer. @returns undefined when the time was up. @throws what is no matter of trying again */
export async function insist<T>(untilMs: () => number, ask: () => Promise<T>): Promise<T | undefined> {
  while (performance.now() < untilMs()) {
    try {
      return await ask();
    } catch (thrown) {
      if (!(thrown instanceof PerdureError) || thrown.reaction !== 'retryable') throw thrown;
      await pause(RETRY_MS);
    }
  }
  return undefined;
}
