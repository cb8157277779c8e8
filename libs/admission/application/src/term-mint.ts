import {
  ADMISSION_TERM_STARTED,
  ADMISSION_TERM_STREAM,
  admissionTermStarted,
  type AdmissionTermStarted,
} from '@perdure/admission-contract';
import { StoreUnavailable, delay, type EventData, type EventStore, type Host, type RecordedEvent } from '@perdure/kernel';

const TERMS_KEPT = 2;
const RETRY_MS = 100;

/** Terms come from the log alone: each is an append that expects the one before. */
export class TermMint {
  private readonly waiting = new Map<number, () => void>();
  private toldUpTo = 0;

  constructor(private readonly ports: { readonly store: EventStore; readonly host: Host }) {}

  /** The follower has seen a term: everything before it is folded. */
  told(event: RecordedEvent): void {
    const { term } = admissionTermStarted.parse(event.data);
    this.toldUpTo = Math.max(this.toldUpTo, term);
    for (const [waited, resolve] of this.waiting) {
      if (waited > this.toldUpTo) continue;
      this.waiting.delete(waited);
      resolve();
    }
  }

  /** Resolves when the log has told the new term; undefined when it is not wanted any more. */
  async mint(wanted: () => boolean): Promise<number | undefined> {
    await this.bound();
    const term = await this.append(wanted);
    if (term === undefined) return undefined;
    if (term > this.toldUpTo) await new Promise<void>((resolve) => this.waiting.set(term, resolve));
    return wanted() ? term : undefined;
  }

  private async append(wanted: () => boolean): Promise<number | undefined> {
    const { store, host } = this.ports;
    while (wanted()) {
      const [newest] = await store.read(ADMISSION_TERM_STREAM, { direction: 'backward', from: 'end', limit: 1 });
      const term = newest === undefined ? 1 : admissionTermStarted.parse(newest.data).term + 1;
      const data: AdmissionTermStarted = { term, leader: host.incarnation, startedAtMs: host.clock.nowMs() };
      const event: EventData = { id: host.entropy.uuid(), type: ADMISSION_TERM_STARTED, data, metadata: {} };
      if (await this.appendUntilAnswered(newest?.revision ?? 'no-stream', event)) return term;
    }
    return undefined;
  }

  /** The identical append, until it is known what became of it. */
  private async appendUntilAnswered(expected: number | 'no-stream', event: EventData): Promise<boolean> {
    for (;;) {
      try {
        return (await this.ports.store.append(ADMISSION_TERM_STREAM, expected, [event])).outcome === 'appended';
      } catch (error) {
        if (!(error instanceof StoreUnavailable)) throw error;
        await delay(this.ports.host, RETRY_MS);
      }
    }
  }

  private async bound(): Promise<void> {
    const { store } = this.ports;
    const { maxCount } = await store.getStreamMetadata(ADMISSION_TERM_STREAM);
    if (maxCount !== TERMS_KEPT) await store.setStreamMetadata(ADMISSION_TERM_STREAM, { maxCount: TERMS_KEPT });
  }
}
