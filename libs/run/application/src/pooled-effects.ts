import { canonicalJson, type Bus, type Host } from '@perdure/kernel';
import {
  claim,
  workerAddress,
  workSubject,
  type Claim,
  type Heartbeat,
  type OfferMessage,
  type RunAddress,
} from '@perdure/run-contract';
import { isOpen, pooledWork, type PooledExecution, type PooledTool, type PooledWork, type RunState } from '@perdure/run-domain';
import { keyOf } from './activation-keeper';
import type { WorkerRegistry } from './worker-registry';

/**
 * Sees to it that effects of tools with a pool of their own are executed there.
 *
 * 1. An offer is a hint, repeated until the effect is claimed or not due any more; what it leads to is decided at the claim.
 * 2. How much a worker does at once it says and enforces itself: an offer that it refuses goes to another, or waits.
 * 3. Whose executor is dead is lost, in whichever way its class demands; the audit finds whatever a hint has missed.
 */

/** An offer that was accepted and is not claimed by then was lost, or its worker was: another is asked. */
const CLAIMED_WITHIN_MS = 3_000;
const OFFER_TIMEOUT_MS = 1_000;
/** Several heartbeats: an execution that none of them names was dropped. */
const DROPPED_AFTER_MS = 3_000;
/** Runs whose effects wait for a worker, and are looked at when one has room; those beyond it the audit finds. */
const WAITING_MAX = 10_000;

export interface PooledEvents {
  onLost(address: RunAddress, lost: { readonly call: string; readonly executionId: string; readonly executor: Executor }): void;
  /** The run as it stands now. */
  current(address: RunAddress): RunState | undefined;
}

type Executor = PooledExecution['execution']['executor'];
/** When, to whom, and the ticket that only who was asked can show. */
interface Offered {
  readonly atMs: number;
  readonly sessionId: string;
  readonly ticket: string;
}

type Due = Exclude<PooledWork, { do: 'watch' }>;
type Session = Pick<Executor, 'workerId' | 'sessionId'>;

export class PooledEffects {
  /** When what is due was offered last, by run and by what it is. */
  private readonly offered = new Map<string, ReadonlyMap<string, Offered>>();
  /** Sessions that execute, by run: for the death of a worker. */
  private readonly executing = new Map<
    string,
    { readonly address: RunAddress; readonly executions: readonly PooledExecution[] }
  >();
  /** Since when an execution is known here to be under way. */
  private readonly watched = new Map<string, number>();
  private readonly waiting = new Map<string, { readonly address: RunAddress; readonly due: readonly Due[] }>();

  constructor(
    private readonly ports: { readonly bus: Bus; readonly host: Host; readonly workers: () => WorkerRegistry },
    private readonly events: PooledEvents,
  ) {}

  /** Called after each append, and by the audit. */
  keep(address: RunAddress, state: RunState): void {
    const work = pooledWork(state);
    const key = keyOf(address);
    if (work.length === 0) return this.forget(key);
    const executions = work.flatMap((each) => (each.do === 'watch' ? [each.open] : []));
    this.execute(key, address, executions);
    for (const each of work) if (each.do === 'watch') this.watch(address, each);
    this.offerDue(
      address,
      work.filter((each) => each.do !== 'watch'),
    );
  }

  /** Whether this very work was offered to the session last, and with this ticket. */
  wasOffered(address: RunAddress, shown: { readonly sessionId: string; readonly ticket: string }): boolean {
    for (const { sessionId, ticket } of this.offered.get(keyOf(address))?.values() ?? [])
      if (sessionId === shown.sessionId && ticket === shown.ticket) return true;
    return false;
  }

  private execute(key: string, address: RunAddress, executions: readonly PooledExecution[]): void {
    for (const { execution } of this.executing.get(key)?.executions ?? [])
      if (!executions.some((each) => each.execution.executionId === execution.executionId))
        this.watched.delete(execution.executionId);
    if (executions.length > 0) this.executing.set(key, { address, executions });
    else this.executing.delete(key);
  }

  forget(key: string): void {
    this.offered.delete(key);
    const known = this.executing.get(key);
    if (known !== undefined) this.execute(key, known.address, []);
    this.waiting.delete(key);
  }

  /** What the end of a run leaves under way is told to stop; whatever comes of it, nobody waits for it any more. */
  onEnded(address: RunAddress, before: RunState): void {
    if (isOpen(before)) for (const each of pooledWork(before)) if (each.do === 'watch') this.tellToStop(address, each.open);
  }

  onCapacity(beat: Heartbeat): void {
    if ((beat.freeToolSlots ?? 0) === 0) return;
    const fitting = [...this.waiting.values()].filter(
      ({ address, due }) =>
        address.tenant === beat.tenant &&
        due.some(({ open }) => open.pool === beat.pool && beat.tools?.includes(open.tool) === true),
    );
    for (const { address } of fitting) {
      if (!this.ports.workers().hasToolRoom(beat)) return;
      const state = this.events.current(address);
      if (state !== undefined) this.keep(address, state);
      else this.forget(keyOf(address));
    }
  }

  onDeath({ workerId, sessionId }: Session): void {
    for (const { address, executions } of this.executing.values())
      for (const { call, execution } of executions)
        if (execution.executor.sessionId === sessionId && execution.executor.workerId === workerId)
          this.events.onLost(address, { call, executionId: execution.executionId, executor: execution.executor });
  }

  private watch(address: RunAddress, { open, isToStop }: Extract<PooledWork, { do: 'watch' }>): void {
    const { executor, executionId } = open.execution;
    if (this.ports.workers().isAlive(executor) === false || this.isDropped(executionId, executor))
      this.events.onLost(address, { call: open.call, executionId, executor });
    else if (isToStop) this.tellToStop(address, open);
  }

  /** A live worker has had time to name it in its heartbeats, and does not: its claim came late, or its answer never arrived. */
  private isDropped(executionId: string, executor: Session): boolean {
    const sinceMs = this.watched.get(executionId) ?? this.nowMs();
    this.watched.set(executionId, sinceMs);
    return this.nowMs() - sinceMs > DROPPED_AFTER_MS && this.ports.workers().executes(executor, executionId) === false;
  }

  private branchOf(address: RunAddress): number {
    const state = this.events.current(address);
    return state === undefined || state.status === 'none' ? 0 : state.branch;
  }

  private nowMs(): number {
    return this.ports.host.clock.monotonicMs();
  }

  private offerDue(address: RunAddress, due: readonly Due[]): void {
    const key = keyOf(address);
    const before = this.offered.get(key);
    const nowMs = this.nowMs();
    const offered = new Map<string, Offered>();
    const left: Due[] = [];
    for (const each of due) {
      const name = nameOf(each);
      const last = before?.get(name);
      const isFresh = last !== undefined && nowMs - last.atMs < CLAIMED_WITHIN_MS;
      const now = isFresh ? last : this.offer(address, each);
      if (now === undefined) left.push(each);
      else offered.set(name, now);
    }
    this.wait(address, left);
    if (offered.size > 0) this.offered.set(key, offered);
    else this.offered.delete(key);
  }

  /** Behind all others: what finds no worker now must not be looked at first for ever. */
  private wait(address: RunAddress, due: readonly Due[]): void {
    this.waiting.delete(keyOf(address));
    if (due.length > 0 && this.waiting.size < WAITING_MAX) this.waiting.set(keyOf(address), { address, due });
  }

  /** Undefined when no worker has room. */
  private offer(address: RunAddress, due: Due): Offered | undefined {
    const { pool, tool } = due.open;
    const workers = this.ports.workers();
    const beat = workers.findForTool({ tenant: address.tenant, pool, tool });
    if (beat === undefined) return undefined;
    workers.noteOffered(beat);
    const offered = { atMs: this.nowMs(), sessionId: beat.sessionId, ticket: this.ports.host.entropy.uuid() };
    void this.send(address, beat, { due, ticket: offered.ticket });
    return offered;
  }

  private async send(
    address: RunAddress,
    beat: Heartbeat,
    { due, ticket }: { readonly due: Due; readonly ticket: string },
  ): Promise<void> {
    const branch = this.branchOf(address);
    const answer = await this.ask(beat, { ...offerOf(address, beat, { ...due, branch }), ticket });
    if (answer?.claim === 'accepted') return;
    // It is full, or going away, or was not reached: whoever has room is asked at the next look.
    const offered = new Map(this.offered.get(keyOf(address)));
    if (offered.get(nameOf(due))?.ticket !== ticket) return;
    offered.delete(nameOf(due));
    this.offered.set(keyOf(address), offered);
    this.wait(address, [...(this.waiting.get(keyOf(address))?.due ?? []), due]);
  }

  private async ask(beat: Heartbeat, offer: OfferMessage): Promise<Claim | undefined> {
    try {
      const subject = workSubject.build(workerAddress(beat));
      const reply = await this.ports.bus.request(subject, JSON.stringify(offer), { timeoutMs: OFFER_TIMEOUT_MS });
      return claim.parse(JSON.parse(reply));
    } catch {
      // No answer: the offer is repeated, perhaps to another.
      return undefined;
    }
  }

  private tellToStop(address: RunAddress, { call, execution }: PooledExecution): void {
    const { executionId, executor } = execution;
    const subject = workSubject.build(workerAddress({ tenant: address.tenant, ...executor }));
    this.ports.bus.publish(subject, JSON.stringify({ type: 'stop', v: 1, ...address, call, executionId }));
  }
}

function nameOf({ do: what, open }: { readonly do: 'run' | 'probe'; readonly open: PooledTool }): string {
  return what === 'run' ? `run ${open.attempt} ${open.call}` : `probe ${open.attempt} ${open.execution?.probe} ${open.call}`;
}

function offerOf(
  address: RunAddress,
  { sessionId }: Heartbeat,
  { do: what, open, branch }: Due & { readonly branch: number },
): Omit<OfferMessage, 'ticket'> {
  const { call, tool, attempt, args, execution, approval, heartbeat } = open;
  const asked = what === 'run' || execution === undefined ? {} : { executionId: execution.executionId, probe: execution.probe };
  return {
    type: 'offer',
    v: 1,
    ...address,
    sessionId,
    ...(branch === 0 ? {} : { branch }),
    do: what,
    call,
    tool,
    attempt,
    argsText: canonicalJson(args ?? null),
    ...(heartbeat === undefined ? {} : { lastHeartbeat: heartbeat.detail }),
    ...(approval?.grantId === undefined ? {} : { grant: { grantId: approval.grantId, votes: [...approval.votes] } }),
    ...asked,
  };
}
