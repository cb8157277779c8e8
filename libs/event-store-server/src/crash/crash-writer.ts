import type { AppendOutcome, StoreEngine } from '../engine/store-engine';
import { idToText } from '../wire/event-id';
import type { ProposedEvent } from '../wire/recorded-event';
import type { Expected } from '../wire/requests';
import type { AppendRecord } from './judge';

const TOGETHER_MAX = 3;
const EVENTS_PER_APPEND_MAX = 4;
const DATA_BYTES_MAX = 1_500;
const WRONG_SHARE = 0.05;
const NEVER_REACHED = 1_000_000_000;
const EMPTY = Buffer.alloc(0);
export const TYPES = ['Odd', 'Even'] as const;

interface Plan {
  readonly expected: Expected;
  readonly events: readonly ProposedEvent[];
}

export interface CrashWriterOptions {
  readonly stream: string;
  readonly chance: () => number;
  /** `exact` and `loose` appends are sent again until they are answered; `once` ones are not. */
  readonly kind: 'exact' | 'loose' | 'once';
  /** Unique in the whole log. */
  nextId(): Buffer;
}

/** Appends to one stream, several at a time, and keeps book of what it was told. */
export class CrashWriter {
  readonly records: AppendRecord[] = [];
  /** Not answered when the store died. */
  private open: readonly Plan[] = [];
  private planned = -1;

  constructor(private readonly options: CrashWriterOptions) {}

  /** Until the store dies, or `isOver` and nothing is open. */
  async run(engine: StoreEngine, isOver: () => boolean): Promise<void> {
    while (this.open.length > 0 || !isOver()) {
      const plans = this.open.length > 0 ? this.open : this.plan();
      const outcomes = await Promise.all(plans.map((plan) => this.send(engine, plan)));
      this.open = [];
      for (const [at, plan] of plans.entries()) this.note(plan, outcomes[at] as AppendOutcome);
      if (outcomes.some(({ kind }) => kind === 'failed')) return;
    }
  }

  private send(engine: StoreEngine, { expected, events }: Plan): Promise<AppendOutcome> {
    return new Promise((settled) => {
      try {
        engine.append({ stream: this.options.stream, expected, events }, settled);
      } catch (error) {
        settled({ kind: 'failed', error: error as Error });
      }
    });
  }

  private note(plan: Plan, outcome: AppendOutcome): void {
    const { stream, kind } = this.options;
    const ids = plan.events.map(({ id }) => idToText(id));
    if (outcome.kind === 'appended') {
      this.records.push({ stream, ids, outcome: 'acknowledged', revision: outcome.revision });
    } else if (outcome.kind !== 'failed') this.records.push({ stream, ids, outcome: 'refused' });
    else if (kind === 'once') this.records.push({ stream, ids, outcome: 'unknown' });
    else this.open = [...this.open, plan];
  }

  private plan(): readonly Plan[] {
    const { chance, kind } = this.options;
    return Array.from({ length: 1 + Math.floor(chance() * TOGETHER_MAX) }, () => {
      const events = Array.from({ length: 1 + Math.floor(chance() * EVENTS_PER_APPEND_MAX) }, () => this.event());
      if (kind !== 'exact') return { expected: 'any', events };
      // Now and then a revision that never comes, or has passed: it must be refused.
      if (chance() < WRONG_SHARE) return { expected: NEVER_REACHED, events };
      if (this.planned >= 0 && chance() < WRONG_SHARE) return { expected: 'no-stream', events };
      const expected = this.planned < 0 ? 'no-stream' : this.planned;
      this.planned += events.length;
      return { expected, events };
    });
  }

  private event(): ProposedEvent {
    const { chance, nextId } = this.options;
    const data = Buffer.alloc(Math.floor(chance() * DATA_BYTES_MAX), 'x');
    const type = TYPES[Math.floor(chance() * TYPES.length)] as string;
    return { id: nextId(), type, contentType: 'application/octet-stream', data, metadata: EMPTY };
  }
}
