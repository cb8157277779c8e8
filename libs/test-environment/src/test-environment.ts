import { token } from '@perdure/kernel';
import { runAddress, runStream } from '@perdure/run-contract';
import { Client, type Behaviour, type Tool } from '@perdure/sdk';
import { millisecondsOf, type Duration } from './duration';
import { Persons, type Decision } from './persons';
import { Pilot } from './pilot';
import { pilotedBus } from './piloted-bus';
import { Premises } from './premises';
import { Rest } from './rest';
import { Services } from './services';
import { TestWorker } from './test-worker';

export interface TestEnvironmentOptions {
  /** Agents and workflows under test. */
  readonly behaviours?: readonly Behaviour[];
  /** Tools with a pool of their own, or that workflows use by name; those of agents are included. */
  readonly tools?: readonly Tool[];
  readonly tenant?: string;
  /** Where time begins; by default at the start of 2026 (UTC). */
  readonly startAt?: Date | string;
  /** The same seed gives the same facts, as long as the code under test draws no chance of its own. */
  readonly seed?: number;
  /** Hears each line that services and workers log. */
  readonly onLog?: (line: string) => void;
}

/** A fact of a run, as the log has it. */
export interface TestFact {
  readonly type: string;
  readonly data: unknown;
  readonly at: Date;
}

const START_AT = '2026-01-01T00:00:00Z';
const SEED = 1;
const FACTS_PAGE = 10_000;
const RUNS_DESCRIBED = 5;

/**
 * The whole product in the process of a test: the services that keep promises, workers that host the code under test, a log and a
 * broker in memory, and time that passes only while the test waits. A year of waiting costs milliseconds.
 */
export class TestEnvironment {
  /** As outside of tests; while one of its answers is waited for, time may pass. */
  readonly client: Client;
  private readonly premises: Premises;
  private readonly pilot: Pilot;
  private readonly rest: Rest;
  private readonly observer: Client;
  private readonly workers = new Map<string, TestWorker>();
  private readonly persons: Persons;
  private services: Services;

  private constructor(private readonly options: TestEnvironmentOptions) {
    const { startAt = START_AT, seed = SEED, onLog: log = () => undefined } = options;
    this.premises = new Premises({ startAtMs: new Date(startAt).getTime(), seed, log });
    this.services = new Services(this.premises);
    this.persons = new Persons(this.premises, this.tenant);
    this.rest = new Rest(this.premises.place('observer').store);
    this.pilot = new Pilot({
      time: this.premises.time,
      rest: this.rest,
      isExecuting: () => [...this.workers.values()].some((worker) => worker.isExecuting),
      isWaiting: () => [...this.workers.values()].some((worker) => worker.isWaiting),
      nextScheduledMs: () => this.services.nextScheduledMs,
      clockWasSet: () => this.services.clockWasSet(),
      describe: () => this.describe(),
    });
    const { host, connection } = this.premises.place('client');
    this.client = new Client({ bus: pilotedBus(connection.bus, this.pilot), host }, { tenant: this.tenant });
    this.observer = new Client({ bus: connection.bus, host }, { tenant: this.tenant });
  }

  /** Resolves when the workers are registered and take runs. */
  static async create(options: TestEnvironmentOptions = {}): Promise<TestEnvironment> {
    const environment = new TestEnvironment(options);
    await environment.during(environment.start());
    return environment;
  }

  now(): Date {
    return new Date(this.premises.time.clock.nowMs());
  }

  /** Lets so much time pass, with all that falls due in it. */
  skip(duration: Duration): Promise<void> {
    return this.skipTo(new Date(this.now().getTime() + millisecondsOf(duration)));
  }

  skipTo(when: Date | string): Promise<void> {
    const untilMs = new Date(when).getTime();
    return new Promise((resolve, reject) => this.pilot.join({ untilMs, arrived: resolve, strand: reject }));
  }

  /** Resolves when everything that can happen without waiting has happened. */
  settle(): Promise<void> {
    return this.skipTo(this.now());
  }

  /** What the log says of a run. */
  async facts(runId: string): Promise<readonly TestFact[]> {
    const { store } = this.premises.place('reader');
    const stream = runStream.build(runAddress(this.tenant, runId));
    const events = await store.read(stream, { direction: 'forward', from: 'start', limit: FACTS_PAGE });
    return events.map(({ type, data, recordedAtMs }) => ({ type, data, at: new Date(recordedAtMs) }));
  }

  /**
   * A person agrees to an effect that waits for it, after everything before it has happened.
   * @throws Terminal `NoSuchApproval`
   */
  async approve(runId: string, decision: Decision = {}): Promise<void> {
    await this.settle();
    await this.persons.decide(runId, 'approve', decision);
  }

  /** A person refuses: the run, or its model, is told. */
  async deny(runId: string, decision: Decision = {}): Promise<void> {
    await this.settle();
    await this.persons.decide(runId, 'deny', decision);
  }

  /** Every worker is killed, as by `kill -9` in the middle of whatever it does, and others come up with the same code. */
  async restartWorkers(): Promise<void> {
    const dead = [...this.workers.values()];
    for (const worker of dead) worker.kill();
    for (const worker of dead) this.services.workerIsGone(worker.session);
    await this.during(this.startWorkers());
  }

  /** The services are killed likewise, and others rebuild what they knew from the log. */
  async restartServices(): Promise<void> {
    await this.services.stop();
    this.services = new Services(this.premises);
    await this.during(this.services.start());
  }

  async close(): Promise<void> {
    for (const worker of this.workers.values()) worker.kill();
    await this.services.stop();
    await this.rest.close();
  }

  private get tenant() {
    return token(this.options.tenant ?? 'default', 'tenant');
  }

  private async start(): Promise<void> {
    await this.services.start();
    await this.startWorkers();
  }

  /** One for each pool that the code names. */
  private async startWorkers(): Promise<void> {
    const { behaviours = [], tools = [] } = this.options;
    const pools = new Set([...behaviours, ...tools].map(({ pool }) => pool ?? 'default'));
    for (const pool of pools) {
      const hosted = behaviours.filter((behaviour) => behaviour.pool === pool);
      const worker = new TestWorker(this.premises, { tenant: this.tenant, pool, behaviours: hosted, tools });
      this.workers.set(pool, worker);
      await worker.start();
    }
  }

  /** Time passes while it goes on: services give each other seconds to come up. */
  private during<T>(task: Promise<T>): Promise<T> {
    const { time } = this.premises;
    let isOver = false;
    const stepping = (async () => {
      for (;;) {
        await time.quiet();
        if (isOver) return;
        time.step();
      }
    })();
    return task.finally(async () => {
      isOver = true;
      await stepping;
    });
  }

  private async describe(): Promise<string> {
    const open = this.rest.open(RUNS_DESCRIBED).map(async (stream) => {
      const { name, runId, status, waitingOn } = await this.observer.view(runStream.parse(stream).runId);
      return `${name} ${runId} is ${status}: ${JSON.stringify(waitingOn)}`;
    });
    return open.length === 0 ? 'No run is open.' : (await Promise.all(open)).join('; ');
  }
}
