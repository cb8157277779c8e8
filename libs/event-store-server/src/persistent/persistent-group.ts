import { CheckpointRule } from './checkpoint-rule';
import { ConnectedConsumer, type Consumer } from './consumer';
import { type ConsumerStrategy, consumerStrategy } from './consumer-strategies';
import type { GroupSettings } from '../wire/persistent-requests';
import { InFlight, type Outstanding } from './in-flight';
import type { Content, Message, Progress, Waiting } from './message';
import { ParkingPlace } from './parking-place';
import { RetryList } from './retry-list';

// One group of consumers that share the events of a stream, or of the log. It knows no clock, no disk and no network.
//
// 1. A message is at each moment in one place: buffered, to be retried, in flight, or being parked. It leaves when it
//    is acknowledged, skipped, or durably parked.
// 2. The checkpoint lies before the first message that has not left: a restart repeats, it never skips.
// 3. Memory is bounded: nothing is read while the buffer and the retries fill their places, nothing is
//    delivered beyond what consumers have room for.
// 4. Nothing is delivered twice at a time: a message whose id is in flight already waits.

/** Places for messages that were read and not delivered, whatever a group asks for: 100 bytes each. */
export const BUFFERED_MAX = 10_000;
/** Messages in flight of one group, whatever its consumers ask for: 300 bytes each. */
export const IN_FLIGHT_MAX = 100_000;

export type Rejection = 'park' | 'retry' | 'skip';

export interface ReadStep {
  readonly messages: readonly Message[];
  /** Everything up to here was read or is of no concern. */
  readonly considered: Progress;
  readonly isAtHead: boolean;
}

/** What a group needs of the world. */
export interface GroupPorts {
  /** Where it goes on: everything up to here was settled. */
  readonly start: Progress;
  read(limit: number): ReadStep;
  /** Parked messages that are to be handed out again. */
  readParked(limit: number): readonly Message[];
  /** A parked message that was handed out again is settled, or parked anew. */
  onReplayed(message: Message): void;
  /** `gone`: nobody can read it any more. */
  load(message: Message): Content | 'gone' | Error;
  park(message: Message, reason: string, settled: (isParked: boolean) => void): void;
  writeCheckpoint(place: number, settled: (isWritten: boolean) => void): void;
}

export class PersistentGroup {
  readonly consumers = new Map<Consumer, ConnectedConsumer>();
  totalItems = 0;
  isLive = false;
  private readonly strategy: ConsumerStrategy<ConnectedConsumer>;
  private readonly checkpoint: CheckpointRule;
  private readonly retries = new RetryList();
  private readonly inFlight = new InFlight();
  private readonly parking: ParkingPlace;
  private buffer: Waiting[] = [];
  /** The furthest that was handed out, or needed not to be. */
  private reached: Progress;
  private considered: Progress;
  private isWritingCheckpoint = false;
  private isReplaying = false;

  constructor(
    private readonly settings: GroupSettings,
    private readonly ports: GroupPorts,
  ) {
    this.strategy = consumerStrategy(settings.strategy);
    this.checkpoint = new CheckpointRule(settings, ports.start);
    this.reached = ports.start;
    this.considered = ports.start;
    this.parking = new ParkingPlace(ports, (message) => this.leave(message));
  }

  get counts(): { readonly buffered: number; readonly retries: number; readonly inFlight: number } {
    return { buffered: this.buffer.length, retries: this.retries.size, inFlight: this.inFlight.size };
  }

  get isReplayingParked(): boolean {
    return this.isReplaying;
  }

  /** The last event that it knows of. */
  get lastKnown(): number {
    return this.buffer[this.buffer.length - 1]?.message.place ?? this.reached.place;
  }

  connect(consumer: Consumer): void {
    const connected = new ConnectedConsumer(consumer);
    this.consumers.set(consumer, connected);
    this.strategy.add(connected);
  }

  /** What it had in flight is somebody else's now. */
  disconnect(consumer: Consumer): void {
    const connected = this.consumers.get(consumer);
    if (connected === undefined) return;
    this.consumers.delete(consumer);
    this.strategy.remove(connected);
    for (const outstanding of this.inFlight.takeOf(connected)) this.tryAgain(outstanding);
  }

  acknowledge(ids: readonly string[]): void {
    for (const id of ids) {
      const outstanding = this.inFlight.take(id);
      if (outstanding !== undefined) this.leave(outstanding.waiting.message);
    }
  }

  reject(ids: readonly string[], rejection: Rejection, reason: string): void {
    for (const id of ids) {
      const outstanding = this.inFlight.take(id);
      if (outstanding === undefined) continue;
      const { message } = outstanding.waiting;
      if (rejection === 'retry') this.tryAgain(outstanding);
      else if (rejection === 'park') this.parking.put(message, `Client explicitly NAK'ed message.\n${reason}`);
      else this.leave(message);
    }
  }

  /** Hands out parked messages again, as far as `readParked` gives any. */
  replayParked(): void {
    this.isReplaying = true;
  }

  /** @returns true when there is more to do at once: the caller gives others their turn first */
  pump(nowMs: number): boolean {
    this.fill();
    this.dispatch(nowMs);
    if (this.buffer.length === 0) this.reached = this.considered;
    if (this.checkpoint.mayBeDue(this.reached)) this.markCheckpoint({ nowMs, isTick: false });
    return (this.isReplaying || !this.isLive) && this.room > 0;
  }

  /** Once a second. A pump must follow. */
  tick(nowMs: number): void {
    for (const outstanding of this.inFlight.takeDue(nowMs)) this.tryAgain(outstanding);
    this.parking.tryAgain();
    this.markCheckpoint({ nowMs, isTick: true });
  }

  private get room(): number {
    const places = Math.min(this.settings.historyBufferSize, BUFFERED_MAX);
    return places - this.retries.size - this.buffer.length - this.parking.size;
  }

  private fill(): void {
    if (this.isReplaying && this.room > 0) {
      const again = this.ports.readParked(this.room);
      for (const message of again) this.retries.add({ message, retryCount: 0 });
      this.isReplaying = again.length > 0;
    }
    const { room } = this;
    if (room <= 0) return;
    const { messages, considered, isAtHead } = this.ports.read(room);
    for (const message of messages) this.buffer.push({ message, retryCount: 0 });
    this.considered = considered;
    this.isLive = isAtHead;
  }

  private dispatch(nowMs: number): void {
    let isStopped = false;
    this.retries.drain((waiting) => {
      const answer = this.offer(waiting, nowMs);
      isStopped = answer === 'stop';
      return answer;
    });
    if (isStopped) return;
    let count = 0;
    for (const waiting of this.buffer) {
      const answer = this.offer(waiting, nowMs);
      if (answer === 'stop') break;
      count += 1;
      const { place, ordinal } = waiting.message;
      this.reached = { place, ordinal };
      // Passed over, it is older than what is handed out next: rule 2 must see it.
      if (answer === 'keep') this.retries.add(waiting);
    }
    this.buffer.splice(0, count);
  }

  private offer(waiting: Waiting, nowMs: number): 'taken' | 'keep' | 'stop' {
    if (this.inFlight.size >= IN_FLIGHT_MAX) return 'stop';
    const { message, retryCount } = waiting;
    const consumer = this.strategy.choose(message.bucket);
    if (consumer === 'full') return 'stop';
    if (consumer === 'skip') return 'keep';
    const content = this.ports.load(message);
    if (content === 'gone') this.leave(message);
    else if (content instanceof Error) this.parking.put(message, content.message);
    else if (this.inFlight.has(content.id)) return 'keep';
    else {
      const { messageTimeoutMs } = this.settings;
      const dueAtMs = messageTimeoutMs === 0 ? Number.POSITIVE_INFINITY : nowMs + messageTimeoutMs;
      this.inFlight.add({ id: content.id, waiting, consumer, dueAtMs });
      this.totalItems += 1;
      consumer.consumer.deliver(content, retryCount);
    }
    return 'taken';
  }

  private tryAgain({ waiting }: Outstanding): void {
    const { message, retryCount } = waiting;
    const { maxRetryCount } = this.settings;
    if (retryCount >= maxRetryCount) this.parking.put(message, `Reached retry count of ${maxRetryCount}`);
    else this.retries.add({ message, retryCount: retryCount + 1 });
  }

  private leave(message: Message): void {
    if (message.isReplayed) this.ports.onReplayed(message);
  }

  private markCheckpoint(at: { readonly nowMs: number; readonly isTick: boolean }): void {
    if (this.isWritingCheckpoint) return;
    const settled = this.settled();
    if (!this.checkpoint.isDue(settled, at)) return;
    this.isWritingCheckpoint = true;
    this.ports.writeCheckpoint(settled.place, (isWritten) => {
      this.isWritingCheckpoint = false;
      if (isWritten) this.checkpoint.onWritten(settled, at.nowMs);
    });
  }

  /** Rule 2. */
  private settled(): Progress {
    let lowest: Message | undefined;
    const consider = (message: Message | undefined): void => {
      if (message === undefined || message.isReplayed) return;
      if (lowest === undefined || message.ordinal < lowest.ordinal) lowest = message;
    };
    consider(this.retries.first?.message);
    for (const message of this.inFlight.messages()) consider(message);
    for (const message of this.parking.messages()) consider(message);
    return lowest === undefined ? this.reached : progressBefore(lowest);
  }
}

function progressBefore({ before, ordinal }: Message): Progress {
  return { place: before, ordinal: ordinal - 1 };
}
