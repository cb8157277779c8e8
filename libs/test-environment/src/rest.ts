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
  private readonly subscription: Subscription;

  constructor(store: EventStore) {
    this.subscription = store.followAll({
      after: 'start',
      filter: { by: 'event-type', types: [...MOVING, ...RESTING, ...TIMERS, ...ERRANDS, ...TERMINAL_EVENT_TYPES] },
      onEvent: (fact) => this.apply(fact),
    });
  }

  get isMoving(): boolean {
    return this.moving.size > 0 || this.errands.size > 0;
  }

  get nextDueMs(): number | undefined {
    let next: number | undefined;
    for (const timers of this.due.values())
      for (const dueAtMs of timers.values()) if (next === undefined || dueAtMs < next) next = dueAtMs;
    return next;
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
