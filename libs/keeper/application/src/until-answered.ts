import { delay, Retryable, type Host } from '@perdure/kernel';

/** Dependencies that come up later than this process are waited for, with this back-off. */
const RETRY_FIRST_MS = 50;
const RETRY_MAX_MS = 1_000;

/** Asks again as long as the answer is that it may be asked again. @throws what else is thrown, and everything once it is stopped */
export async function untilAnswered<T>(
  waiting: { readonly host: Host; isStopped(): boolean },
  ask: () => Promise<T>,
): Promise<T> {
  for (let waitMs = RETRY_FIRST_MS; ; waitMs = Math.min(waitMs * 2, RETRY_MAX_MS)) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof Retryable) || waiting.isStopped()) throw error;
      waiting.host.log.warn('waiting for the store to load a checkpoint', { error: error.message });
      await delay(waiting.host, waitMs);
    }
  }
}
