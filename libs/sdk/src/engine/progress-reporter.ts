import type { Bus, Cancel, Host } from '@perdure/kernel';
import { PROGRESS_ENTRIES_MAX, progressAnswer, REQUEST_BYTES_MAX, type ProgressAnswer } from '@perdure/run-contract';
import { ask, WITHDRAWN } from './ask';
import { BACKGROUND_BATCH, BACKGROUND_DELAY_MS, PROGRESS_TIMEOUT_MS } from './bounds';

/**
 * Reports the progress of one activation to the owner of the run.
 *
 * 1. Entries are recorded in the order in which they were added; a batch is a contiguous piece of that order.
 * 2. One request is under way at a time; what is added meanwhile goes into the next.
 * 3. A request is repeated unchanged until it is answered: the owner knows it by (epoch, sequence).
 * 4. A batch that was refused, or that said nothing new, has changed nothing: its sequence number is used again.
 */
export interface ReporterOptions {
  readonly host: Host;
  readonly bus: Bus;
  readonly subject: string;
  readonly actor: { readonly kind: 'worker'; readonly id: string };
  readonly epoch: number;
  /** Runs after the callbacks of the batch. */
  onAnswer(answer: ProgressAnswer): void;
  onRefused(error: unknown): void;
}

interface Entry {
  readonly text: string;
  readonly onRecorded: ((answer: ProgressAnswer) => void) | undefined;
}

/** Counted in UTF-16 units, each of which is at most three bytes: no need to encode twice. */
const BATCH_LENGTH_MAX = REQUEST_BYTES_MAX / 3;

export class ProgressReporter {
  private readonly unsent: Entry[] = [];
  private prompt = false;
  private asking = false;
  private stopped = false;
  private seq = 0;
  private added = 0;
  private confirmed = 0;
  private cancelDelay: Cancel | undefined;

  constructor(private readonly options: ReporterOptions) {}

  /** Ordinal of the last entry that is recorded, from 1. */
  get recorded(): number {
    return this.confirmed;
  }

  get unrecorded(): number {
    return this.added - this.confirmed;
  }

  /** Something waits for this entry: it goes with the next flush. Returns its ordinal. */
  add(text: string, onRecorded?: (answer: ProgressAnswer) => void): number {
    this.prompt = true;
    return this.push(text, onRecorded);
  }

  /** Nothing waits for this entry: it may wait for company. */
  addInBackground(text: string): number {
    const ordinal = this.push(text, undefined);
    if (this.unsent.length >= BACKGROUND_BATCH) this.send();
    return ordinal;
  }

  private push(text: string, onRecorded: Entry['onRecorded']): number {
    this.unsent.push({ text, onRecorded });
    this.added += 1;
    return this.added;
  }

  flush(): void {
    if (this.unsent.length === 0 || this.asking || this.stopped) return;
    if (this.prompt) this.send();
    else
      this.cancelDelay ??= this.options.host.timers.after(BACKGROUND_DELAY_MS, () => {
        this.cancelDelay = undefined;
        this.send();
      });
  }

  /** Forgets what is not sent yet: what takes its place makes it meaningless. */
  replaceUnsent(text: string, onRecorded: () => void): void {
    this.added -= this.unsent.length;
    this.unsent.length = 0;
    this.add(text, onRecorded);
    this.flush();
  }

  stop(): void {
    this.stopped = true;
    this.unsent.length = 0;
    this.cancelDelay?.();
  }

  private send(): void {
    if (this.asking || this.stopped || this.unsent.length === 0) return;
    this.cancelDelay?.();
    this.cancelDelay = undefined;
    const batch = this.takeBatch();
    this.asking = true;
    void this.report(batch);
  }

  private takeBatch(): Entry[] {
    let count = 0;
    let length = 0;
    for (const entry of this.unsent) {
      if (count === PROGRESS_ENTRIES_MAX || (count > 0 && length + entry.text.length > BATCH_LENGTH_MAX)) break;
      count += 1;
      length += entry.text.length;
    }
    const batch = this.unsent.splice(0, count);
    this.prompt &&= this.unsent.length > 0;
    return batch;
  }

  private async report(batch: readonly Entry[]): Promise<void> {
    const { options } = this;
    const { host, bus, subject } = options;
    let answer: ProgressAnswer;
    host.crashPoint('worker.before-report');
    try {
      const payload = this.envelope(batch);
      const value = await ask({ host, bus }, { subject, payload, timeoutMs: PROGRESS_TIMEOUT_MS, withdrawn: () => this.stopped });
      if (value === WITHDRAWN || this.stopped) return;
      answer = progressAnswer.parse(value);
    } catch (error) {
      this.asking = false;
      this.added -= batch.length;
      if (!this.stopped) options.onRefused(error);
      return;
    }
    host.crashPoint('worker.after-report');
    this.asking = false;
    this.seq = answer.seq;
    this.confirmed += batch.length;
    for (const entry of batch) entry.onRecorded?.(answer);
    options.onAnswer(answer);
    this.flush();
  }

  private envelope(batch: readonly Entry[]): string {
    const { host, actor, epoch } = this.options;
    const entries = batch.length === 1 ? (batch[0] as Entry).text : batch.map((entry) => entry.text).join(',');
    const command = `{"type":"RecordProgress","epoch":${epoch},"seq":${this.seq + 1},"entries":[${entries}]}`;
    return `{"v":1,"id":"${host.entropy.uuid()}","actor":${JSON.stringify(actor)},"command":${command}}`;
  }
}
