/** An erasure by another process takes effect here within this time. */
export const KEY_CACHE_MS = 5_000;
/** Runs that seal at the same time, generously: 32 bytes each. */
const KEYS_CACHED_MAX = 10_000;

interface CachedKey {
  readonly key: Buffer;
  readonly untilMs: number;
}

/** Unwrapped data keys, for a short time only. */
export class KeyCache {
  private readonly keys = new Map<string, CachedKey>();

  constructor(private readonly monotonicMs: () => number) {}

  get(id: string): Buffer | undefined {
    const cached = this.keys.get(id);
    if (cached === undefined) return undefined;
    if (cached.untilMs > this.monotonicMs()) return cached.key;
    this.forget(id);
    return undefined;
  }

  put(id: string, key: Buffer): void {
    if (this.keys.size >= KEYS_CACHED_MAX) this.forgetOldest();
    this.keys.set(id, { key, untilMs: this.monotonicMs() + KEY_CACHE_MS });
  }

  forget(id: string): void {
    this.keys.delete(id);
  }

  private forgetOldest(): void {
    for (const id of this.keys.keys()) {
      this.forget(id);
      return;
    }
  }
}
