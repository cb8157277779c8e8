import { MemoryBlobStore } from '@perdure/platform-blob-memory';
import { MemoryBroker, type MemoryConnection } from '@perdure/platform-bus-memory';
import { MemoryEventStore, MemoryLog } from '@perdure/platform-event-store-memory';
import { signingKeyOf } from '@perdure/platform-host-node';
import { TestProcess, chance } from './test-process';
import { VirtualTime, type Pace } from './virtual-time';

export interface PremisesOptions {
  readonly startAtMs: number;
  readonly seed: number;
  readonly log: (line: string) => void;
}

/** One process, and its ways to the broker and to the store. */
export interface Place {
  readonly host: TestProcess;
  readonly connection: MemoryConnection;
  readonly store: MemoryEventStore;
}

/** Lines of the log that a report of a failure may quote. */
const LINES_KEPT = 200;

/** What does not die with a process: the log, the broker, the blobs, and time. */
export class Premises {
  readonly time: VirtualTime;
  readonly log: MemoryLog;
  readonly blobs = new MemoryBlobStore();
  /** Of the signer of approvals. */
  readonly signer = signingKeyOf(Buffer.alloc(32, 7));
  readonly lines: string[] = [];
  private readonly broker: MemoryBroker;
  private readonly fraction: () => number;

  constructor({ startAtMs, seed, log }: PremisesOptions) {
    this.time = new VirtualTime(startAtMs);
    this.fraction = chance(seed);
    this.log = new MemoryLog(this.time.clockOf('machine'));
    this.broker = new MemoryBroker({ timers: this.time.timersOf('machine', () => true) });
    this.say = (line) => {
      this.lines.push(line);
      if (this.lines.length > LINES_KEPT) this.lines.shift();
      log(line);
    };
  }

  place(name: string, pace: Pace = 'machine'): Place {
    const host = this.process(name, pace);
    return { host, connection: this.broker.connect(name), store: new MemoryEventStore(this.log) };
  }

  process(name: string, pace: Pace = 'machine'): TestProcess {
    const { time, fraction, say } = this;
    return new TestProcess({ name, time, pace, fraction, log: say });
  }

  private readonly say: (line: string) => void;
}
