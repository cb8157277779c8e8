import type { Bus, Cancel, Host, Subscription } from '@perdure/kernel';
import { heartbeat, heartbeatSubject, workerAddress, type Heartbeat } from '@perdure/run-contract';

/**
 * Which workers live, as far as this process knows.
 *
 * 1. A worker is dead after silence of DEAD_AFTER_MS, or CLOSED_GRACE_MS after the broker said that its heartbeat
 *    connection closed, or at once when a new session of the same worker appears or it says goodbye.
 * 2. A restarted observer has heard nobody yet, so it judges nobody before one full period has passed.
 * 3. Silence is measured on the monotonic clock.
 * 4. A heartbeat speaks for the tenant, pool and worker of its subject and for nobody else: the broker confines
 *    a tenant by subjects. Workers of two tenants may have the same id.
 * 5. A session that was replaced stays dead, whatever it still sends.
 */

export const DEAD_AFTER_MS = 3_000;
export const CLOSED_GRACE_MS = 1_000;
/** The thread that runs user code has not turned for so long: what it holds goes elsewhere. */
export const STALLED_AFTER_MS = 20_000;
/** The thread that beats is told of activations by the one that runs user code: while that is held up, the list is old. */
const LIST_AGE_MAX_MS = 1_000;
const SWEEP_MS = 250;
/** Replaced sessions remembered: far more than can still be sending. */
const REPLACED_MAX = 10_000;

export type Death = 'worker-lost' | 'worker-replaced' | 'worker-stalled';

interface Entry {
  beat: Heartbeat;
  placed: number;
  offered: number;
  heardMs: number;
  closedAtMs: number | undefined;
  stalled: boolean;
}

export interface RegistryListener {
  onDeath(session: { readonly workerId: string; readonly sessionId: string }, death: Death): void;
  /** Somebody may have room. */
  onCapacity(worker: Heartbeat): void;
}

export class WorkerRegistry {
  /** By tenant, pool and worker id. */
  private readonly entries = new Map<string, Entry>();
  private readonly bySession = new Map<string, Entry>();
  private readonly replaced = new Set<string>();
  private readonly startedMs: number;
  private subscription: Subscription | undefined;
  private cancelSweep: Cancel = () => undefined;

  constructor(
    private readonly ports: { readonly bus: Bus; readonly host: Host },
    private readonly listener: RegistryListener,
  ) {
    this.startedMs = ports.host.clock.monotonicMs();
  }

  start(): void {
    this.subscription = this.ports.bus.subscribe(heartbeatSubject.all, (message) => {
      const parsed = heartbeat.safeParse(safeJson(message.payload));
      if (parsed.success && heartbeatSubject.build(workerAddress(parsed.data)) === message.subject) this.hear(parsed.data);
    });
    this.scheduleSweep();
  }

  async stop(): Promise<void> {
    this.cancelSweep();
    await this.subscription?.close();
  }

  /** From the broker: the heartbeat connection of this session has closed. */
  connectionClosed(session: { readonly workerId: string; readonly sessionId: string }): void {
    const entry = this.entryOf(session);
    if (entry !== undefined) entry.closedAtMs ??= this.nowMs();
  }

  /** Undefined while it is too early to say. */
  isAlive(session: { readonly workerId: string; readonly sessionId: string }): boolean | undefined {
    const entry = this.entryOf(session);
    if (entry !== undefined) return !entry.stalled;
    if (this.replaced.has(session.sessionId)) return false;
    return this.hasListened ? false : undefined;
  }

  /** The newest heartbeat of every live worker. */
  *beats(): Iterable<Heartbeat> {
    for (const { beat } of this.entries.values()) yield beat;
  }

  /** Whether the newest heartbeat of the session names the run; undefined when there is none, or none that knows. */
  holds(session: { readonly workerId: string; readonly sessionId: string }, runId: string): boolean | undefined {
    const beat = this.entryOf(session)?.beat;
    return beat === undefined || beat.loopLagMs > LIST_AGE_MAX_MS ? undefined : beat.activations.includes(runId);
  }

  /** A live worker of the pool that hosts the name and has room, the one with most room first. */
  find(wanted: {
    readonly tenant: string;
    readonly pool: string;
    readonly name: string;
    /** The build that the run is pinned to; undefined = any. */
    readonly build?: string | undefined;
    readonly not?: string;
  }): Heartbeat | undefined {
    let best: Entry | undefined;
    for (const entry of this.entries.values()) {
      const { beat } = entry;
      if (beat.tenant !== wanted.tenant || beat.pool !== wanted.pool || !takes(beat, wanted)) continue;
      if (beat.draining || entry.stalled || entry.closedAtMs !== undefined || beat.sessionId === wanted.not) continue;
      if (room(entry) > 0 && (best === undefined || room(entry) > room(best))) best = entry;
    }
    return best?.beat;
  }

  /** Whether any live worker hosts the code, with room or without; undefined while it is too early to say. */
  isHosted(wanted: {
    readonly tenant: string;
    readonly pool: string;
    readonly name: string;
    readonly build?: string | undefined;
  }): boolean | undefined {
    for (const { beat, stalled } of this.entries.values()) {
      if (beat.tenant === wanted.tenant && beat.pool === wanted.pool && !stalled && takes(beat, wanted)) return true;
    }
    return this.hasListened ? false : undefined;
  }

  /** For one full period: who has not been heard is not there. */
  get hasListened(): boolean {
    return this.nowMs() - this.startedMs >= DEAD_AFTER_MS;
  }

  notePlaced(session: { readonly workerId: string; readonly sessionId: string }): void {
    const entry = this.entryOf(session);
    if (entry !== undefined) entry.placed += 1;
  }

  /** A live worker of the pool that executes the tool for others and has room, the one with most room first. */
  findForTool(wanted: { readonly tenant: string; readonly pool: string; readonly tool: string }): Heartbeat | undefined {
    let best: Entry | undefined;
    for (const entry of this.entries.values()) {
      const { beat } = entry;
      if (beat.tenant !== wanted.tenant || beat.pool !== wanted.pool || beat.tools?.includes(wanted.tool) !== true) continue;
      if (beat.draining || entry.stalled || entry.closedAtMs !== undefined) continue;
      if (toolRoom(entry) > 0 && (best === undefined || toolRoom(entry) > toolRoom(best))) best = entry;
    }
    return best?.beat;
  }

  noteOffered(session: { readonly workerId: string; readonly sessionId: string }): void {
    const entry = this.entryOf(session);
    if (entry !== undefined) entry.offered += 1;
  }

  hasToolRoom(session: { readonly workerId: string; readonly sessionId: string }): boolean {
    const entry = this.entryOf(session);
    return entry !== undefined && toolRoom(entry) > 0;
  }

  /** Whether the newest heartbeat of the session names the execution; undefined when there is none, or none that knows. */
  executes(session: { readonly workerId: string; readonly sessionId: string }, executionId: string): boolean | undefined {
    const beat = this.entryOf(session)?.beat;
    return beat === undefined || beat.loopLagMs > LIST_AGE_MAX_MS ? undefined : (beat.executions ?? []).includes(executionId);
  }

  /** Its newest heartbeat, as long as it lives. */
  beatOf(session: { readonly workerId: string; readonly sessionId: string }): Heartbeat | undefined {
    const entry = this.entryOf(session);
    return entry === undefined || entry.stalled ? undefined : entry.beat;
  }

  private entryOf(session: { readonly workerId: string; readonly sessionId: string }): Entry | undefined {
    const entry = this.bySession.get(session.sessionId);
    return entry?.beat.workerId === session.workerId ? entry : undefined;
  }

  private hear(beat: Heartbeat): void {
    if (this.replaced.has(beat.sessionId)) return;
    const known = this.entries.get(keyOf(beat));
    if (known !== undefined && known.beat.sessionId !== beat.sessionId) this.replace(known);
    if (beat.leaving) {
      if (known?.beat.sessionId === beat.sessionId) this.die(known, 'worker-lost');
      return;
    }
    const stalled = beat.loopLagMs > STALLED_AFTER_MS;
    const entry = { beat, placed: 0, offered: 0, heardMs: this.nowMs(), closedAtMs: undefined, stalled };
    this.entries.set(keyOf(beat), entry);
    this.bySession.set(beat.sessionId, entry);
    if (stalled && known?.stalled !== true) this.listener.onDeath(beat, 'worker-stalled');
    if (!stalled && !beat.draining && (beat.freeSlots > 0 || (beat.freeToolSlots ?? 0) > 0)) this.listener.onCapacity(beat);
  }

  private sweep(): void {
    const nowMs = this.nowMs();
    for (const entry of this.entries.values()) {
      const silent = nowMs - entry.heardMs > DEAD_AFTER_MS;
      const closed = entry.closedAtMs !== undefined && nowMs - entry.closedAtMs > CLOSED_GRACE_MS;
      if (silent || closed) this.die(entry, 'worker-lost');
    }
  }

  private replace(entry: Entry): void {
    this.replaced.add(entry.beat.sessionId);
    const [oldest] = this.replaced.size > REPLACED_MAX ? this.replaced : [];
    if (oldest !== undefined) this.replaced.delete(oldest);
    this.die(entry, 'worker-replaced');
  }

  private die(entry: Entry, death: Death): void {
    this.entries.delete(keyOf(entry.beat));
    this.bySession.delete(entry.beat.sessionId);
    this.listener.onDeath({ workerId: entry.beat.workerId, sessionId: entry.beat.sessionId }, death);
  }

  private scheduleSweep(): void {
    this.cancelSweep = this.ports.host.timers.after(SWEEP_MS, () => {
      this.sweep();
      this.scheduleSweep();
    });
  }

  private nowMs(): number {
    return this.ports.host.clock.monotonicMs();
  }
}

/** Whether the worker hosts the code that a run goes on with. */
export function takes(beat: Heartbeat, { name, build }: { readonly name: string; readonly build?: string | undefined }): boolean {
  if (!beat.hosts.includes(name)) return false;
  return build === undefined || beat.buildId === build || beat.compatibleWith?.includes(build) === true;
}

function keyOf({ tenant, pool, workerId }: Heartbeat): string {
  return `${tenant}.${pool}.${workerId}`;
}

function room(entry: Entry): number {
  return entry.beat.freeSlots - entry.placed;
}

function toolRoom(entry: Entry): number {
  return (entry.beat.freeToolSlots ?? 0) - entry.offered;
}

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
