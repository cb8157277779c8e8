import { delay, type ErrorRecord, type Host } from '@perdure/kernel';
import type { RunCommands } from '@perdure/keeper-application';
import type { RunRecord } from '@perdure/admission-domain';
import { runAddress, type Heartbeat } from '@perdure/run-contract';
import { CLOCK_SKEW_MS, RELEASE_NOT_AFTER_MS } from './leadership';

/** Permits on their way to the owners of runs: each is repeated, identical, until it is answered or can no longer be accepted. */

/** Owners answer within milliseconds; an answer that was lost must leave time for a repeat while the permit is good. */
const REQUEST_TIMEOUT_MS = 400;
const REPEAT_FIRST_MS = 50;
const REPEAT_MAX_MS = 1_000;

/** What became of a release. `gone`: the run asks for nothing, or is no more. */
export type ReleaseOutcome = 'accepted' | 'not-queued' | 'gone' | 'try-again' | 'superseded';

interface Release {
  readonly record: RunRecord;
  readonly revision: number;
  readonly term: number;
  readonly deadlineMs: number;
}

export interface ReleaseEvents {
  onOutcome(record: RunRecord, outcome: ReleaseOutcome): void;
}

export class Releases {
  private readonly underWay = new Map<RunRecord, Release>();
  private permits = 0;

  constructor(
    private readonly ports: { readonly host: Host; readonly commands: RunCommands },
    private readonly events: ReleaseEvents,
  ) {}

  get count(): number {
    return this.underWay.size;
  }

  /** The request leaves before this returns. */
  begin(record: RunRecord, worker: Heartbeat, term: number): void {
    const { clock } = this.ports.host;
    this.permits += 1;
    const envelope = this.ports.commands.envelope({
      type: 'ReleaseRun',
      permitId: `${term}.${this.permits}`,
      term,
      workerId: worker.workerId,
      sessionId: worker.sessionId,
      buildId: worker.buildId,
      notAfterMs: clock.nowMs() + RELEASE_NOT_AFTER_MS,
    });
    const deadlineMs = clock.monotonicMs() + RELEASE_NOT_AFTER_MS + CLOCK_SKEW_MS;
    const release: Release = { record, revision: record.revision, term, deadlineMs };
    this.underWay.set(record, release);
    void this.untilSettled(release, envelope);
  }

  /** Whatever is still under way is no longer of interest. */
  abandonAll(): readonly RunRecord[] {
    const records = [...this.underWay.keys()];
    this.underWay.clear();
    return records;
  }

  private async untilSettled(release: Release, envelope: string): Promise<void> {
    const outcome = await this.ask(release, envelope);
    if (!this.isCurrent(release)) {
      // A fact has told already what became of it.
      if (this.underWay.get(release.record) === release) this.underWay.delete(release.record);
      return;
    }
    this.underWay.delete(release.record);
    this.events.onOutcome(release.record, outcome);
  }

  private async ask({ record, term, ...release }: Release, envelope: string): Promise<ReleaseOutcome> {
    const { host, commands } = this.ports;
    const address = runAddress(record.tenant, record.runId);
    for (let waitMs = REPEAT_FIRST_MS; ; waitMs = Math.min(waitMs * 2, REPEAT_MAX_MS)) {
      const reply = await commands.send(address, envelope, REQUEST_TIMEOUT_MS);
      if (reply.status === 'accepted') return 'accepted';
      if (reply.status === 'refused' && reply.error.reaction !== 'retryable') return this.refusal(record, reply.error);
      // From here on no owner accepts it any more: the slot may serve another run.
      if (host.clock.monotonicMs() >= release.deadlineMs || !this.isCurrent({ record, term, ...release })) return 'try-again';
      await delay(host, waitMs);
    }
  }

  private refusal(record: RunRecord, error: ErrorRecord): ReleaseOutcome {
    switch (error.code) {
      case 'RunNotQueued':
        return 'not-queued';
      case 'RunAlreadyEnded':
      case 'RunNotFound':
        return 'gone';
      case 'ReleaseSuperseded':
        return 'superseded';
      case 'ReleaseExpired':
      // It was pinned meanwhile: the fact that says so is on its way here.
      case 'WrongBuild':
        return 'try-again';
      default:
        this.ports.host.log.error('a release was refused for an unknown reason; it will be tried again', {
          runId: record.runId,
          code: error.code,
          message: error.message,
        });
        return 'try-again';
    }
  }

  private isCurrent({ record, revision, term }: Release): boolean {
    return this.underWay.get(record)?.term === term && record.revision === revision && record.state === 'granted';
  }
}
