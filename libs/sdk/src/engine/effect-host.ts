import { ofBranch, PerdureError, type Bus, type Host } from '@perdure/kernel';
import {
  claimAnswer,
  requestSubject,
  runAddress,
  type Claim,
  type ClaimAnswer,
  type OfferMessage,
  type StopMessage,
} from '@perdure/run-contract';
import { ask, WITHDRAWN } from './ask';
import { CLAIM_WITHIN_MS, PROGRESS_TIMEOUT_MS } from './bounds';
import { probe, useClaimed, type ClaimPort, type OfExecution, type ProbeTool } from './claimed-effect';
import type { Tool } from './definitions';
import type { GrantKnown } from './grant-check';
import type { OnUserCode } from './execution';
import { progressOf } from './heartbeat-notes';
import { idempotencyKeyOf } from './identity';

export interface EffectHostOptions {
  readonly host: Host;
  readonly bus: Bus;
  readonly tenant: string;
  readonly workerId: string;
  readonly sessionId: string;
  /** Tools of its own pool, by name. */
  readonly tools: ReadonlyMap<string, Tool>;
  /** By which grants of approvals are verified. */
  readonly grants: GrantKnown;
  /** Executions at once. */
  readonly slots: number;
  /** The number of free slots has changed. */
  onChange(): void;
  readonly onUserCode?: OnUserCode | undefined;
}

/** What is being done for one offer. */
interface Work {
  readonly controller: AbortController;
  executionId: string | undefined;
}

/**
 * Executes effects for whoever holds the run.
 *
 * 1. An offer begins nothing: the owner of the run is asked, and only its answer to this claim does.
 * 2. What is claimed is the hash of the very bytes that are executed, computed here.
 * 3. How it ended is reported until the owner has answered. What is claimed and dropped, by a crash or since the claim stayed
 *    without an answer, the owner finds out by the heartbeats that do not name it.
 */
export class EffectHost {
  private readonly work = new Map<string, Work>();
  private readonly whenEmpty: (() => void)[] = [];
  private draining = false;
  private stopped = false;

  constructor(private readonly options: EffectHostOptions) {}

  get freeSlots(): number {
    return this.draining ? 0 : Math.max(0, this.options.slots - this.work.size);
  }

  get executions(): readonly string[] {
    return [...this.work.values()].flatMap(({ executionId }) => (executionId === undefined ? [] : [executionId]));
  }

  get names(): readonly string[] {
    return [...this.options.tools.keys()];
  }

  take(offer: OfferMessage): Claim {
    const { sessionId, tenant, tools } = this.options;
    if (offer.sessionId !== sessionId || offer.tenant !== tenant)
      return { claim: 'refused', reason: 'another session of this worker' };
    const tool = tools.get(offer.tool);
    if (tool === undefined) return { claim: 'refused', reason: `this worker does not execute ${offer.tool} for others` };
    const key = keyOf(offer);
    if (this.work.has(key)) return { claim: 'accepted' };
    if (this.freeSlots === 0) return { claim: 'refused', reason: 'no free slot' };
    const work: Work = { controller: new AbortController(), executionId: undefined };
    this.work.set(key, work);
    this.options.onChange();
    void this.perform(offer, tool, work).finally(() => this.end(key));
    return { claim: 'accepted' };
  }

  /** The run is cancelled, or over. */
  abort({ runId, call, executionId }: StopMessage): Claim {
    const reason = new PerdureError('RunCancelled', 'cancelled', 'The run was cancelled, or has ended.');
    for (const [key, work] of this.work)
      if (key.startsWith(`${runId} ${call} `) && work.executionId === executionId) work.controller.abort(reason);
    return { claim: 'accepted' };
  }

  /** Takes nothing more; resolves when what is under way is reported. */
  drain(): Promise<void> {
    this.draining = true;
    return this.work.size === 0 ? Promise.resolve() : new Promise((resolve) => this.whenEmpty.push(resolve));
  }

  /** Says nothing more: the owner finds out by itself. */
  stop(): void {
    this.stopped = true;
    this.draining = true;
    const reason = new PerdureError('WorkerDraining', 'cancelled', 'The worker is going away.');
    for (const { controller } of this.work.values()) controller.abort(reason);
  }

  private end(key: string): void {
    this.work.delete(key);
    if (!this.stopped) this.options.onChange();
    if (this.work.size === 0) for (const resolve of this.whenEmpty.splice(0)) resolve();
  }

  private async perform(offer: OfferMessage, tool: Tool, work: Work): Promise<void> {
    const { log } = this.options.host;
    try {
      if (offer.do === 'run') await this.run(offer, tool, work);
      else await this.probe(offer, tool, work);
    } catch (error) {
      // Refused for good: another executes it, or it is not wanted any more.
      log.info('an effect is not executed here', { runId: offer.runId, call: offer.call, reason: String(error) });
    }
  }

  private async run(offer: OfferMessage, tool: Tool, work: Work): Promise<void> {
    const { host } = this.options;
    const { call, attempt, argsText, runId, branch = 0 } = offer;
    let noted = Promise.resolve();
    const port: ClaimPort = {
      execution: { host, signal: work.controller.signal, onUserCode: this.options.onUserCode },
      isActive: true,
      runId,
      branch,
      grants: this.options.grants,
      claim: (of, grantId) => {
        // Named in heartbeats from now on until it is reported.
        work.executionId = of.executionId;
        this.options.onChange();
        return this.claim(offer, of, grantId);
      },
      note: (entry) => {
        noted = this.note(offer, work, entry);
      },
    };
    const progress = progressOf(port, offer);
    const use = { call, tool, args: JSON.parse(argsText) as unknown, attempt, log: host.log, grant: offer.grant, progress };
    const used = await useClaimed(port, { ...use, idempotencyKey: idempotencyKeyOf(offer, call) });
    // Without a claim that was granted there is nothing to say.
    if (used.text === undefined) return;
    // What it said last comes before its end, after which nobody would hear it.
    await noted;
    host.crashPoint('tool.before-report');
    // Arguments that do not fit are refused before anything is claimed.
    await this.report(offer, work.executionId ?? host.entropy.uuid(), used.text);
  }

  private async probe(offer: OfferMessage, tool: Tool, { controller }: Work): Promise<void> {
    const { call, attempt, executionId, probe: number } = offer;
    if (executionId === undefined || number === undefined) return;
    const { host, onUserCode } = this.options;
    const args = JSON.parse(offer.argsText) as unknown;
    const instruction: ProbeTool = { do: 'probe-tool', call, tool: tool.name, args, attempt, executionId, probe: number };
    const use = { tool, instruction, idempotencyKey: idempotencyKeyOf(offer, call), log: host.log };
    const { text } = await probe({ host, signal: controller.signal, onUserCode }, use);
    await this.report(offer, executionId, text);
  }

  private async claim(offer: OfferMessage, of: OfExecution, grantId: string | undefined): Promise<ClaimAnswer> {
    const { host } = this.options;
    const argsHash = host.digest.sha256(offer.argsText);
    const under = grantId === undefined ? {} : { grantId };
    const value = await this.ask(
      offer,
      { type: 'ClaimEffect', ...of, ...ofBranch(offer.branch ?? 0), argsHash, ...under },
      host.clock.monotonicMs() + CLAIM_WITHIN_MS,
    );
    return value === WITHDRAWN ? {} : claimAnswer.parse(value);
  }

  private async report(offer: OfferMessage, executionId: string, entry: string): Promise<void> {
    const { call, attempt } = offer;
    await this.ask(offer, { type: 'ReportEffect', call, attempt, executionId, entry: JSON.parse(entry) as unknown });
  }

  /** What is refused of it is no reason to do anything: how the execution ends is told by another report. */
  private async note(offer: OfferMessage, { executionId }: Work, entry: string): Promise<void> {
    if (executionId === undefined) return;
    try {
      await this.report(offer, executionId, entry);
    } catch (error) {
      this.options.host.log.info('a heartbeat was not recorded', { runId: offer.runId, call: offer.call, reason: String(error) });
    }
  }

  private ask(offer: OfferMessage, command: Readonly<Record<string, unknown>>, untilMs?: number): Promise<unknown> {
    const { host, bus, workerId, sessionId } = this.options;
    const payload = JSON.stringify({
      v: 1,
      id: host.entropy.uuid(),
      actor: { kind: 'worker', id: workerId },
      command: { ...command, workerId, sessionId, ticket: offer.ticket },
    });
    const subject = requestSubject.build(runAddress(offer.tenant, offer.runId));
    const question = { subject, payload, timeoutMs: PROGRESS_TIMEOUT_MS, withdrawn: () => this.stopped };
    return ask({ host, bus }, untilMs === undefined ? question : { ...question, untilMs });
  }
}

function keyOf({ runId, call, branch = 0, attempt, do: what, probe: number = 0 }: OfferMessage): string {
  return `${runId} ${call} ${what} ${branch} ${attempt} ${number}`;
}
