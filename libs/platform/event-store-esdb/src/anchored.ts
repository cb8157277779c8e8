import { delay, type Host, StoreAccessDenied, type Subscription } from '@perdure/kernel';

const BACKOFF_FIRST_MS = 50;
const BACKOFF_MAX_MS = 2000;

export interface Anchored<Place> {
  readonly host: Pick<Host, 'timers' | 'log'>;
  /** For the log. */
  readonly what: string;
  /** Where the end is now. */
  place(): Promise<Place>;
  onRefused(error: StoreAccessDenied): void;
  followFrom(place: Place): Subscription;
}

/**
 * A subscription "from the end": the end is looked up once and followed from there. Asking the server for "the
 * end" again after a lost connection would skip what came between.
 */
export function anchored<Place>({ host, what, place, onRefused, followFrom }: Anchored<Place>): Subscription {
  let following: Subscription | undefined;
  let isClosed = false;
  const begin = async (): Promise<void> => {
    for (let backOffMs = BACKOFF_FIRST_MS; !isClosed; backOffMs = Math.min(BACKOFF_MAX_MS, 2 * backOffMs)) {
      try {
        const found = await place();
        if (!isClosed) following = followFrom(found);
        return;
      } catch (error) {
        if (error instanceof StoreAccessDenied) {
          if (!isClosed) onRefused(error);
          return;
        }
        host.log.warn('the end is not known yet', { subscription: what, reason: String(error) });
        await delay(host, backOffMs);
      }
    }
  };
  void begin();
  return {
    async close() {
      isClosed = true;
      await following?.close();
    },
  };
}
