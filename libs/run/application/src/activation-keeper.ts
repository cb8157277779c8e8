import { MessageTooLarge, type Bus, type Cancel, type Host } from '@perdure/kernel';
import {
  claim,
  workerAddress,
  workSubject,
  type Activate,
  type Claim,
  type InboundMessage,
  type RunAddress,
} from '@perdure/run-contract';
import { instructionsOf, tailItems, type OpenRun } from '@perdure/run-domain';
import { toldInParts } from './told-in-parts';

/**
 * Sees to it that the worker of an epoch has claimed it and knows what has happened since.
 *
 * 1. Pushing is repeated until the worker answers or the epoch ends; everything pushed is idempotent at the worker.
 * 2. No claim within CLAIM_MS ends the epoch: another worker gets the run under the same permit.
 * 3. What does not fit into one message is told in several; what cannot be told at all is the run's own fault.
 */

const CLAIM_MS = 1_000;
const REPEAT_MS = 250;
const PUSH_TIMEOUT_MS = 1_000;
/** Beliefs about warm runs kept; a wrong or forgotten one costs one message. */
const WARM_MAX = 10_000;

export type ActiveRun = Extract<OpenRun, { status: 'active' }>;

/** Why an epoch was not claimed, or is not held any more. */
export type Unclaimed = 'not-claimed' | 'refused' | 'unsendable';

type Answer = Claim['claim'] | 'unsendable' | undefined;

export interface ActivationEvents {
  onUnclaimed(address: RunAddress, epoch: number, reason: Unclaimed): void;
  /** The run as it stands now; undefined when it is not active in that epoch any more. */
  current(address: RunAddress, epoch: number): ActiveRun | undefined;
}

interface Keeping {
  readonly epoch: number;
  readonly sinceMs: number;
  claimedAtMs: number | undefined;
  sending: boolean;
  /** The worker has to be told something since the last message. */
  dirty: boolean;
  cold: boolean;
  cancelRepeat: Cancel;
}

export class ActivationKeeper {
  private readonly kept = new Map<string, Keeping>();
  /** Sessions that suspended runs were last held by, and the branch that they know. */
  private readonly warm = new Map<string, { readonly sessionId: string; readonly branch: number }>();

  constructor(
    private readonly ports: { readonly bus: Bus; readonly host: Host },
    private readonly events: ActivationEvents,
  ) {}

  get size(): number {
    return this.kept.size;
  }

  /** Called after each append: `news` = the worker does not know of it through an answer of its own. */
  keep(address: RunAddress, run: ActiveRun, news: boolean): void {
    const key = keyOf(address);
    let keeping = this.kept.get(key);
    if (keeping?.epoch !== run.epoch) {
      keeping?.cancelRepeat();
      keeping = {
        epoch: run.epoch,
        sinceMs: this.nowMs(),
        claimedAtMs: undefined,
        sending: false,
        dirty: true,
        cold: !this.isWarm(address, run),
        cancelRepeat: () => undefined,
      };
      this.kept.set(key, keeping);
    } else if (news) {
      keeping.dirty = true;
    }
    if (keeping.dirty) void this.push(address, keeping);
  }

  /** For how long the present epoch has been claimed. */
  claimedForMs(address: RunAddress): number {
    const claimedAtMs = this.kept.get(keyOf(address))?.claimedAtMs;
    return claimedAtMs === undefined ? 0 : this.nowMs() - claimedAtMs;
  }

  release(address: RunAddress): void {
    const keeping = this.kept.get(keyOf(address));
    if (keeping === undefined) return;
    keeping.cancelRepeat();
    this.kept.delete(keyOf(address));
  }

  /** The worker let go of a run that waits; it may still hold it warm when the run comes back. */
  releaseWarm(address: RunAddress, { activation: { sessionId }, branch }: ActiveRun): void {
    this.release(address);
    this.warm.delete(keyOf(address));
    this.warm.set(keyOf(address), { sessionId, branch });
    const oldest = this.warm.size > WARM_MAX ? this.warm.keys().next().value : undefined;
    if (oldest !== undefined) this.warm.delete(oldest);
  }

  private isWarm(address: RunAddress, run: ActiveRun): boolean {
    const held = this.warm.get(keyOf(address));
    this.warm.delete(keyOf(address));
    return held?.sessionId === run.activation.sessionId && held.branch === run.branch;
  }

  releaseAll(where: (address: string) => boolean): void {
    for (const [key, keeping] of this.kept) {
      if (!where(key)) continue;
      keeping.cancelRepeat();
      this.kept.delete(key);
    }
  }

  private async push(address: RunAddress, keeping: Keeping): Promise<void> {
    if (keeping.sending) return;
    const run = this.events.current(address, keeping.epoch);
    if (run === undefined || this.kept.get(keyOf(address)) !== keeping) return;
    keeping.sending = true;
    keeping.dirty = false;
    const answer = await this.send(address, run, keeping);
    keeping.sending = false;
    if (this.kept.get(keyOf(address)) === keeping) this.settle(address, keeping, answer);
  }

  private settle(address: RunAddress, keeping: Keeping, answer: Answer): void {
    if (answer === 'accepted') {
      if (keeping.dirty) void this.push(address, keeping);
      return;
    }
    keeping.dirty = true;
    // An epoch that has ended at its worker does not begin again: its reports were numbered.
    const isLate = keeping.claimedAtMs === undefined && this.nowMs() - keeping.sinceMs >= CLAIM_MS;
    const because = answer === 'unknown' ? 'refused' : answer === 'cold' ? undefined : answer;
    if (because !== undefined || isLate) this.events.onUnclaimed(address, keeping.epoch, because ?? 'not-claimed');
    // The first 'cold' is answered at once; whoever says so again is not to keep us busy.
    const pauseMs = answer === 'cold' && !keeping.cold ? 0 : REPEAT_MS;
    if (answer === 'cold') keeping.cold = true;
    // Also after the epoch was given up: should that not have been carried out, it is found here again.
    keeping.cancelRepeat = this.ports.host.timers.after(pauseMs, () => void this.push(address, keeping));
  }

  private async send(address: RunAddress, run: ActiveRun, keeping: Keeping): Promise<Answer> {
    const { workerId } = run.activation;
    const subject = workSubject.build(workerAddress({ tenant: address.tenant, pool: run.request.pool, workerId }));
    const told = keeping.claimedAtMs !== undefined ? inbound(address, run) : activation(address, run, keeping.cold);
    let answer: Answer;
    for (const part of toldInParts(told)) {
      answer = await this.ask(address, subject, part);
      if (answer !== 'accepted') return answer;
      keeping.claimedAtMs ??= this.nowMs();
    }
    return answer;
  }

  /** @returns undefined when there is no answer: that is what the loop is for, it repeats or gives the epoch up */
  private async ask(address: RunAddress, subject: string, part: string): Promise<Answer> {
    try {
      const reply = await this.ports.bus.request(subject, part, { timeoutMs: PUSH_TIMEOUT_MS });
      return claim.parse(JSON.parse(reply)).claim;
    } catch (error) {
      if (!(error instanceof MessageTooLarge)) return undefined;
      this.ports.host.log.error('what a worker has to be told does not fit into a message', {
        ...address,
        reason: error.message,
      });
      return 'unsendable';
    }
  }

  private nowMs(): number {
    return this.ports.host.clock.monotonicMs();
  }
}

function activation(address: RunAddress, run: ActiveRun, cold: boolean): Activate {
  const { kind, name, input } = run.request;
  return {
    type: 'activate',
    v: 1,
    ...address,
    // What undoes needs no code of the run, and none of what it has done.
    kind: run.ending === undefined ? kind : 'undo',
    name,
    buildId: run.activation.buildId,
    epoch: run.epoch,
    sessionId: run.activation.sessionId,
    revision: run.revision,
    input,
    ...(run.ending === undefined ? journalOf(run, cold) : { segments: 0, journal: [] }),
    ...(run.branch === 0 ? {} : { branch: run.branch }),
    inbound: [...run.inbound],
    instructions: [...instructionsOf(run)],
    cancelRequested: run.cancel !== undefined,
    ...(run.pause === undefined ? {} : { pauseRequested: true }),
  };
}

function journalOf({ journal }: ActiveRun, cold: boolean): Pick<Activate, 'segments' | 'journal'> {
  return { segments: journal.segments.length, ...(cold ? { journal: tailItems(journal) } : {}) };
}

function inbound(address: RunAddress, run: ActiveRun): InboundMessage {
  return {
    type: 'inbound',
    v: 1,
    ...address,
    epoch: run.epoch,
    inbound: [...run.inbound],
    instructions: [...instructionsOf(run)],
    cancelRequested: run.cancel !== undefined,
    ...(run.pause === undefined ? {} : { pauseRequested: true }),
  };
}

export function keyOf({ tenant, runId }: { readonly tenant: string; readonly runId: string }): string {
  return `${tenant}.${runId}`;
}

export function isActive(state: { readonly status: string }): state is ActiveRun {
  return state.status === 'active';
}
