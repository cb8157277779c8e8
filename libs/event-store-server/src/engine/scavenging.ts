import { randomUUID } from 'node:crypto';
import { inTurns } from './in-turns';
import { newEventId } from './new-event-id';
import { type ScavengeOptions, type ScavengeResult, scavenge } from './scavenge';
import { planScavenge } from './scavenge-plan';
import type { AppendOutcome } from './store-engine';

/** Of the closed segments: below that a scavenge that nobody asked for costs more than it gives back. */
const WORTH_SHARE = 0.25;
/** Looking goes through the whole index. */
const LOOK_AGAIN_MS = 600_000;
const JOURNAL = '$scavenges';

export interface ScavengeReport extends ScavengeResult {
  readonly scavengeId: string;
  readonly result: 'Success' | 'Stopped' | 'Failed';
  readonly error: string;
  readonly tookMs: number;
}

interface RunningScavenge {
  readonly id: string;
  isStopped: boolean;
}

/** One scavenge at a time; each is told of in the log, as EventStoreDB does: `$scavenges-<id>`, linked to in `$scavenges`. */
export class Scavenging {
  private running: (RunningScavenge & { readonly finished: Promise<ScavengeReport> }) | undefined;
  private looking: Promise<void> | undefined;
  private lookedAtMs = Number.NEGATIVE_INFINITY;
  private isClosed = false;

  constructor(private readonly options: Omit<ScavengeOptions, 'isStopped'>) {}

  /** The one that is under way, or a new one. What tells of its beginning is appended when this returns. */
  start(): { readonly id: string; readonly isNew: boolean; readonly finished: Promise<ScavengeReport> } {
    if (this.running !== undefined) return { ...this.running, isNew: false };
    const begun: RunningScavenge = { id: randomUUID(), isStopped: false };
    this.running = Object.assign(begun, { finished: this.run(begun) });
    return { ...this.running, isNew: true };
  }

  /** @returns false when no such scavenge is under way */
  stop(id: string): boolean {
    if (this.running?.id !== id) return false;
    this.running.isStopped = true;
    return true;
  }

  /** Begins one when there is enough to be gained. */
  look(): void {
    const { engine } = this.options;
    const isTooSoon = engine.nowMs() - this.lookedAtMs < LOOK_AGAIN_MS;
    if (isTooSoon || this.looking !== undefined || this.running !== undefined || this.isClosed) return;
    this.lookedAtMs = engine.nowMs();
    // What cannot be looked at now, a damaged event for one, will be met by those who read it.
    this.looking = this.startIfWorthIt().then(
      () => void (this.looking = undefined),
      () => void (this.looking = undefined),
    );
  }

  async close(): Promise<void> {
    this.isClosed = true;
    await this.looking;
    if (this.running === undefined) return;
    this.running.isStopped = true;
    await this.running.finished;
  }

  private async startIfWorthIt(): Promise<void> {
    const { engine, indexer, segmentBytes } = this.options;
    const { bytes, removableBytes } = await inTurns(planScavenge({ engine, closed: [...indexer.closed], segmentBytes }));
    if (removableBytes >= bytes * WORTH_SHARE && !this.isClosed) this.start();
  }

  private async run(running: RunningScavenge): Promise<ScavengeReport> {
    const { engine } = this.options;
    const startedAt = performance.now();
    const scavengeId = running.id;
    await this.tell(scavengeId, '$scavengeStarted', { scavengeId });
    const outcome = await scavenge({ ...this.options, isStopped: () => running.isStopped }).then(
      (result) => ({ ...result, result: result.isStopped ? ('Stopped' as const) : ('Success' as const), error: '' }),
      (error: unknown) => ({ ...NOTHING_DONE, result: 'Failed' as const, error: String(error) }),
    );
    const report = { scavengeId, ...outcome, tookMs: Math.round(performance.now() - startedAt) };
    if (!this.isClosed) await this.tell(scavengeId, '$scavengeCompleted', { ...report, spaceSaved: report.freedBytes });
    if (this.running === running) this.running = undefined;
    this.lookedAtMs = engine.nowMs();
    return report;
  }

  /** Whether it could be told or not, the scavenge goes on: a full disk is a good reason for one. */
  private async tell(id: string, type: string, data: object): Promise<void> {
    const stream = `${JOURNAL}-${id}`;
    const outcome = await this.append(stream, type, JSON.stringify(data));
    if (outcome.kind === 'appended') await this.append(JOURNAL, '$>', `${outcome.revision}@${stream}`);
  }

  private append(stream: string, type: string, data: string): Promise<AppendOutcome> {
    const event = {
      id: newEventId(),
      type,
      contentType: 'application/json',
      data: Buffer.from(data, 'utf8'),
      metadata: Buffer.alloc(0),
    };
    return new Promise((resolve) => this.options.engine.append({ stream, expected: 'any', events: [event] }, resolve));
  }
}

const NOTHING_DONE: ScavengeResult = { removedEvents: 0, freedBytes: 0, filesBefore: 0, filesAfter: 0, isStopped: false };
