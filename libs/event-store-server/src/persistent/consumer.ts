import type { Candidate } from './consumer-strategies';
import type { Content } from './message';

/** Who takes messages of a group, as the transport provides it. */
export interface Consumer {
  readonly key: string;
  /** Messages that it takes before it has acknowledged one. */
  readonly bufferSize: number;
  /** False while what it was sent waits to be sent on. */
  readonly hasRoom: boolean;
  readonly from: string;
  readonly connectionName: string;
  deliver(content: Content, retryCount: number): void;
  /** The group is no more, or not as it was. */
  drop(): void;
}

/** A consumer as its group sees it. */
export class ConnectedConsumer implements Candidate {
  inFlight = 0;
  totalItems = 0;
  measuredItems = 0;

  constructor(readonly consumer: Consumer) {}

  get key(): string {
    return this.consumer.key;
  }

  get hasCapacity(): boolean {
    return this.inFlight < this.consumer.bufferSize && this.consumer.hasRoom;
  }
}
