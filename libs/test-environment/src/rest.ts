import type { EventStore, RecordedEvent, Subscription } from '@perdure/kernel';
import { runAddress, runStream, TERMINAL_EVENT_TYPES, type RunEventOf } from '@perdure/run-contract';

const MOVING: readonly string[] = ['RunRequested', 'RunWoken', 'RunResumed', 'RunAssigned', 'ActivationLost'];
const RESTING: readonly string[] = ['RunSuspended', 'RunEnding', 'RunPaused', 'RunQuarantined', 'CodeDiverged'];
const TIMERS: readonly string[] = ['TimerSet', 'TimerFired', 'TimerCancelled'];
/** What begins and ends what the owner of a run does for it while it rests: starting children, bringing messages. */
const ERRANDS: readonly string[] = [
  'ChildRequested',
  'ChildStarted',
  'ChildEnded',
  'MessageSent',
  'MessageDelivered',
  'MessageRefused',
];

/** Which runs are under way, and when the next of their timers is due: by the log. */
export class Rest {
  /** Facts seen. */
  facts = 0;
  private readonly live = new Set<string>();
  private readonly moving = new Set<string>();
  /** What is done, and for which run. */
  private readonly errands = new Map<string, string>();
  private readonly due = new Map<string, Map<string, number>>();
  private readonly factsOf = new Map<string, number>();
  private readonly childrenOf = new Map<string, Set<string>>();
  private readonly subscription: Subscription;

  constructor(store: EventStore) {
    this.subscription = store.followAll({
      after: 'start',
      filter: { by: 'event-type', types: [...MOVING, ...RESTING, ...TIMERS, ...ERRANDS, ...TERMINAL_EVENT_TYPES] },
      onEvent: (fact) => this.apply(fact),
    });
  }

  /** Runs under way, and what owners do for runs that rest. */
  get underWay(): number {
    return this.moving.size + this.errands.size;
  }

  get nextDueMs(): number | undefined {
    let next: number | undefined;
    for (const timers of this.due.values())
      for (const dueAtMs of timers.values()) if (next === undefined || dueAtMs < next) next = dueAtMs;
    return next;
  }

  /** Of a run and those that it has started, and so on: facts seen, and whether a timer is set. */
  familyOf(stream: string): { readonly facts: number; readonly hasTimer: boolean } {
    const family = [stream];
    // What is added while it goes on is visited too.
    for (const member of family) family.push(...(this.childrenOf.get(member) ?? []));
    const facts = family.reduce((sum, member) => sum + (this.factsOf.get(member) ?? 0), 0);
    return { facts, hasTimer: family.some((member) => (this.due.get(member)?.size ?? 0) > 0) };
  }

  /** Streams of runs that have not ended. */
  open(limit: number): readonly string[] {
    return [...this.live].slice(0, limit);
  }

  close(): Promise<void> {
    return this.subscription.close();
  }

  private apply({ stream, type, data }: RecordedEvent): void {
    this.facts += 1;
    this.factsOf.set(stream, (this.factsOf.get(stream) ?? 0) + 1);
    if (type === 'RunRequested') this.begin(stream);
    if (MOVING.includes(type)) this.moving.add(stream);
    else if (ERRANDS.includes(type)) this.onErrand(stream, type, data as { readonly call: string; readonly child?: string });
    else if (TIMERS.includes(type)) this.onTimer(stream, type, data as RunEventOf<'TimerSet'>['data']);
    else this.moving.delete(stream);
    if (!(TERMINAL_EVENT_TYPES as readonly string[]).includes(type)) return;
    this.live.delete(stream);
    this.due.delete(stream);
    for (const [errand, of] of this.errands) if (of === stream) this.errands.delete(errand);
  }

  private begin(stream: string): void {
    this.live.add(stream);
    this.errands.delete(stream);
  }

  private onErrand(
    ...[stream, type, { call, child }]: [string, string, { readonly call: string; readonly child?: string }]
  ): void {
    const { tenant } = runStream.parse(stream);
    const errand = child === undefined ? `${stream} ${call}` : runStream.build(runAddress(tenant, child));
    if (type === 'ChildRequested') this.childrenOf.set(stream, (this.childrenOf.get(stream) ?? new Set()).add(errand));
    if (type === 'ChildRequested' || type === 'MessageSent') this.errands.set(errand, stream);
    else this.errands.delete(errand);
  }

  private onTimer(stream: string, type: string, { timerId, dueAtMs }: RunEventOf<'TimerSet'>['data']): void {
    const timers = this.due.get(stream) ?? new Map<string, number>();
    this.due.set(stream, timers);
    if (type === 'TimerSet') timers.set(timerId, dueAtMs);
    else timers.delete(timerId);
  }
}
