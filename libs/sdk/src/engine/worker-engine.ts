import {
  partitionOf,
  token,
  type Bus,
  type BusMessage,
  type Host,
  type Signatures,
  type Subscription,
  type Token,
} from '@perdure/kernel';
import {
  workerAddress,
  workerMessage,
  workSubject,
  type Activate,
  type Claim,
  type InboundMessage,
  type JournalItem,
  type WorkerMessage,
} from '@perdure/run-contract';
import { tenantRequestSubject, type BuildManifest } from '@perdure/tenant-contract';
import type { Activation, ActivationHome } from './activation';
import { AgentActivation } from './agent-activation';
import { ask } from './ask';
import { PROGRESS_TIMEOUT_MS } from './bounds';
import type { Behaviour, Tool } from './definitions';
import { EffectHost } from './effect-host';
import type { OnUserCode } from './execution';
import { sealedJournal } from './sealed-journal';
import { UndoActivation } from './undo-activation';
import { WorkflowActivation } from './workflow-activation';

export interface WorkerEngineOptions {
  readonly host: Host;
  readonly bus: Bus;
  readonly tenant: string;
  readonly pool: string;
  readonly workerId: string;
  readonly sessionId: string;
  readonly manifest: BuildManifest;
  readonly behaviours: readonly Behaviour[];
  readonly tools: readonly Tool[];
  readonly slots: number;
  /** Executions at once, for whoever holds the runs. */
  readonly toolSlots: number;
  readonly warmRunsMax: number;
  /** Public key of the signer, by which grants of approvals are verified. Without one no effect that needs an approval is run. */
  readonly signer?: { readonly signatures: Signatures; readonly publicKey: string } | undefined;
  /** Something of `status()` has changed. */
  onChange?(): void;
  readonly onUserCode?: OnUserCode | undefined;
}

/** What a heartbeat says, beside who says it. */
export interface WorkerStatus {
  readonly slots: number;
  readonly freeSlots: number;
  readonly activations: readonly string[];
  readonly draining: boolean;
  /** Tools that it executes for whoever holds the run. */
  readonly tools: readonly string[];
  readonly freeToolSlots: number;
  /** Claimed and not reported. */
  readonly executions: readonly string[];
}

const NO_SIGNATURES: Signatures = { verify: () => false };

/** Ended epochs remembered: an owner that asks for an older one gets its run back by the next epoch. */
const ENDED_EPOCHS_MAX = 10_000;

/**
 * Hosts the activations of one worker.
 *
 * 1. A run has one activation here, of the highest epoch that was pushed.
 * 2. A suspended run keeps its memory until it is the one unused for longest; then it is replayed when it wakes.
 * 3. A claim is answered at once and by memory alone.
 */
export class WorkerEngine {
  private readonly behaviours: ReadonlyMap<string, Behaviour>;
  private readonly tools: ReadonlyMap<string, Tool>;
  private readonly active = new Map<string, Activation>();
  /** Oldest first. */
  private readonly warm = new Map<string, Activation>();
  /** Epochs that were held here and are over, by run: none of them begins again, since its reports were numbered. */
  private readonly ended = new Map<string, number>();
  private readonly effects: EffectHost;
  private readonly home: ActivationHome;
  private readonly whenEmpty: (() => void)[] = [];
  private subscription: Subscription | undefined;
  private draining = false;
  private stopped = false;

  constructor(private readonly options: WorkerEngineOptions) {
    this.behaviours = new Map(options.behaviours.map((behaviour) => [behaviour.name, behaviour]));
    this.tools = new Map(options.tools.map((tool) => [tool.name, tool]));
    const { host, bus, tenant, pool, workerId, sessionId } = options;
    const grants = {
      signatures: options.signer?.signatures ?? NO_SIGNATURES,
      signerKey: options.signer?.publicKey,
      manifest: options.manifest,
      tenant: options.tenant,
    };
    this.effects = new EffectHost({
      ...{ host, bus, tenant, workerId, sessionId, grants, slots: options.toolSlots },
      tools: new Map(options.tools.filter((tool) => isExecutedFor(pool, tool)).map((tool) => [tool.name, tool])),
      onChange: () => this.options.onChange?.(),
      onUserCode: options.onUserCode,
    });
    this.home = {
      host: options.host,
      bus: options.bus,
      workerId: options.workerId,
      grants,
      onUserCode: options.onUserCode,
      suspended: (activation) => this.keepWarm(activation),
      closed: (activation) => this.forget(activation),
    };
  }

  /** Registers what this build offers and begins to listen. Heartbeats may begin when it resolves. */
  async start(): Promise<void> {
    const { host, bus, tenant, pool, workerId, manifest } = this.options;
    const tenantToken: Token = token(tenant, 'tenant');
    const payload = JSON.stringify({
      v: 1,
      id: host.entropy.uuid(),
      actor: { kind: 'worker', id: workerId },
      command: { type: 'RegisterBuild', manifest },
    });
    const question = { subject: tenantRequestSubject.build(tenantToken), payload, timeoutMs: PROGRESS_TIMEOUT_MS };
    await ask({ bus, host }, { ...question, withdrawn: () => this.stopped });
    if (this.stopped) return;
    const subject = workSubject.build(workerAddress({ tenant, pool, workerId }));
    this.subscription = bus.subscribe(subject, (message) => message.respond(JSON.stringify(this.handle(message))));
    host.log.info('worker is ready', { workerId, pool, build: manifest.buildId, partition: partitionOf(tenantToken) });
  }

  status(): WorkerStatus {
    const { slots } = this.options;
    const activations = [...this.active.keys()];
    return {
      slots,
      freeSlots: this.draining ? 0 : Math.max(0, slots - activations.length),
      activations,
      draining: this.draining,
      tools: this.effects.names,
      freeToolSlots: this.effects.freeSlots,
      executions: this.effects.executions,
    };
  }

  /** Takes no more runs; resolves when it holds none. Runs are handed over as soon as nothing of them is under way. */
  drain(): Promise<void> {
    this.draining = true;
    this.changed();
    for (const activation of [...this.warm.values(), ...this.active.values()]) activation.drain();
    const noRuns = this.active.size === 0 ? Promise.resolve() : new Promise<void>((resolve) => this.whenEmpty.push(resolve));
    return Promise.all([noRuns, this.effects.drain()]).then(() => undefined);
  }

  /** Hands over what is still held, whatever is under way. */
  handOverNow(): void {
    for (const activation of [...this.active.values()]) activation.handOverNow();
  }

  /** Lets go of everything without a word: the owner finds out by itself. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.draining = true;
    this.effects.stop();
    for (const activation of [...this.active.values(), ...this.warm.values()]) activation.dispose();
    await this.subscription?.close();
  }

  private handle(message: BusMessage): Claim {
    const parsed = parseMessage(message.payload);
    if (parsed === undefined) {
      this.options.host.log.warn('a message to this worker is malformed', { subject: message.subject });
      return { claim: 'refused', reason: 'malformed message' };
    }
    switch (parsed.type) {
      case 'activate':
        return this.activate(parsed);
      case 'inbound':
        return this.inbound(parsed);
      case 'release':
        return this.release(parsed.runId, parsed.epoch);
      case 'offer':
        return this.effects.take(parsed);
      case 'stop':
        return this.effects.abort(parsed);
    }
  }

  private activate(order: Activate): Claim {
    const held = this.active.get(order.runId);
    if (held !== undefined && held.epoch === order.epoch) {
      // Its owner has changed or lost our answer: what it says now may be news.
      held.receive(order);
      return { claim: 'accepted' };
    }
    if ((held?.epoch ?? this.ended.get(order.runId) ?? 0) >= order.epoch)
      return { claim: 'refused', reason: 'that epoch has ended here' };
    const reason = this.reasonToRefuse(order, held !== undefined);
    if (reason !== undefined) return { claim: 'refused', reason };
    if (order.journal === undefined) return this.resume(order);
    held?.dispose();
    this.warm.get(order.runId)?.dispose();
    this.begin(order, order.journal);
    return { claim: 'accepted' };
  }

  private reasonToRefuse(order: Activate, isHeld: boolean): string | undefined {
    const { sessionId, tenant, manifest, slots } = this.options;
    if (order.sessionId !== sessionId || order.tenant !== tenant) return 'another session of this worker';
    if (this.draining) return 'the worker is going away';
    if (order.buildId !== manifest.buildId) return `this worker has build ${manifest.buildId}`;
    const kind = this.behaviours.get(order.name)?.kind;
    if (kind === undefined || (order.kind !== 'undo' && kind !== order.kind))
      return `this worker hosts no ${order.kind} ${order.name}`;
    return !isHeld && this.underWay() >= slots ? 'no free slot' : undefined;
  }

  /** A run whose last report is on its way has given its slot back: the fact that frees it may be known elsewhere first. */
  private underWay(): number {
    let count = 0;
    for (const activation of this.active.values()) if (activation.isActive) count += 1;
    return count;
  }

  /** Only the very next epoch goes on here: in any other, somebody else may have held the run in between. */
  private resume(order: Activate): Claim {
    const activation = this.warm.get(order.runId);
    if (activation === undefined || order.epoch !== activation.epoch + 1) return { claim: 'cold' };
    // It has been rewound since: what is remembered here has not happened.
    if ((order.branch ?? 0) !== activation.branch) return { claim: 'cold' };
    this.warm.delete(order.runId);
    this.active.set(order.runId, activation);
    this.changed();
    activation.resume(order);
    return { claim: 'accepted' };
  }

  private begin(order: Activate, tail: readonly JournalItem[]): void {
    const { tools } = this;
    const behaviour = this.behaviours.get(order.name) as Behaviour;
    const activation =
      order.kind === 'undo'
        ? new UndoActivation(this.home, order, tools)
        : behaviour.kind === 'agent'
          ? new AgentActivation(this.home, order, { agent: behaviour, tools })
          : new WorkflowActivation(this.home, order, { workflow: behaviour, tools });
    this.active.set(order.runId, activation);
    this.changed();
    const { host, bus, workerId } = this.options;
    activation.start(tail, sealedJournal(order, { host, bus, workerId, withdrawn: () => !activation.isActive }));
  }

  private inbound(message: InboundMessage): Claim {
    const held = this.active.get(message.runId);
    if (held?.epoch !== message.epoch) return { claim: 'unknown' };
    held.receive(message);
    return { claim: 'accepted' };
  }

  private release(runId: string, epoch: number): Claim {
    for (const held of [this.active.get(runId), this.warm.get(runId)]) {
      if (held !== undefined && held.epoch <= epoch) held.dispose();
    }
    return { claim: 'accepted' };
  }

  private keepWarm(activation: Activation): void {
    this.active.delete(activation.runId);
    if (this.draining) activation.dispose();
    else this.warm.set(activation.runId, activation);
    if (this.warm.size > this.options.warmRunsMax) this.warm.values().next().value?.dispose();
    this.changed();
  }

  private forget(activation: Activation): void {
    this.ended.delete(activation.runId);
    this.ended.set(activation.runId, activation.epoch);
    if (this.ended.size > ENDED_EPOCHS_MAX) this.ended.delete(this.ended.keys().next().value as string);
    if (this.active.get(activation.runId) === activation) this.active.delete(activation.runId);
    if (this.warm.get(activation.runId) === activation) this.warm.delete(activation.runId);
    this.changed();
  }

  private changed(): void {
    this.options.onChange?.();
    if (this.active.size === 0) for (const resolve of this.whenEmpty.splice(0)) resolve();
  }
}

/** Those without a pool are executed by whoever holds the run. */
function isExecutedFor(pool: string, tool: Tool): boolean {
  return tool.pool === pool && tool.declaredOnly !== true;
}

function parseMessage(payload: string): WorkerMessage | undefined {
  try {
    return workerMessage.parse(JSON.parse(payload));
  } catch {
    return undefined;
  }
}
