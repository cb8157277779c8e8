import type { ConnectedConsumer } from './consumer';
import type { Message, Waiting } from './message';

export interface Outstanding {
  readonly id: string;
  readonly waiting: Waiting;
  readonly consumer: ConnectedConsumer;
  readonly dueAtMs: number;
}

/** What was delivered and not yet answered, in the order of delivery. */
export class InFlight {
  private readonly byId = new Map<string, Outstanding>();

  get size(): number {
    return this.byId.size;
  }

  has(id: string): boolean {
    return this.byId.has(id);
  }

  add(outstanding: Outstanding): void {
    this.byId.set(outstanding.id, outstanding);
    outstanding.consumer.inFlight += 1;
    outstanding.consumer.totalItems += 1;
  }

  /** Undefined when nothing of this id is awaited: it timed out, or was answered before. */
  take(id: string): Outstanding | undefined {
    const outstanding = this.byId.get(id);
    if (outstanding === undefined) return undefined;
    this.byId.delete(id);
    outstanding.consumer.inFlight -= 1;
    return outstanding;
  }

  takeOf(consumer: ConnectedConsumer): readonly Outstanding[] {
    return this.takeWhere((outstanding) => outstanding.consumer === consumer);
  }

  /** All have the same time to be answered: the first that is not due ends the search. */
  takeDue(nowMs: number): readonly Outstanding[] {
    const due: Outstanding[] = [];
    for (const outstanding of this.byId.values()) {
      if (outstanding.dueAtMs > nowMs) break;
      due.push(outstanding);
    }
    for (const { id } of due) this.take(id);
    return due;
  }

  *messages(): Iterable<Message> {
    for (const { waiting } of this.byId.values()) yield waiting.message;
  }

  private takeWhere(matches: (outstanding: Outstanding) => boolean): readonly Outstanding[] {
    const taken = [...this.byId.values()].filter(matches);
    for (const { id } of taken) this.take(id);
    return taken;
  }
}
