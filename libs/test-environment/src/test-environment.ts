import { token, type RecordedEvent } from '@perdure/kernel';
import { RunCodec } from '@perdure/run-application';
import { runAddress, runStream, type RunView } from '@perdure/run-contract';
import { Client, type Behaviour, type Model, type Tool } from '@perdure/sdk';
import { millisecondsOf, type Duration } from './duration';
import { Persons, type Decision } from './persons';
import { Pilot } from './pilot';
import { PilotedClient } from './piloted-client';
import { Premises, type Place } from './premises';
import { Rest } from './rest';
import { Services } from './services';
import { withModels } from './scripted-model';
import { TestWorker } from './test-worker';

export interface TestEnvironmentOptions {
  /** Agents and workflows under test. */
  readonly behaviours?: readonly Behaviour[];
  /** Tools that workflows use by name; those of agents and workflows are included. */
  readonly tools?: readonly Tool[];
  /** What agents are given in place of their models with the same ids: no test should ask a provider. */
  readonly models?: readonly Model[];
  readonly tenant?: string;
  /** Where time begins; by default at the start of 2026 (UTC). */
  readonly startAt?: Date | string;
  /** The same seed gives the same facts, as long as the code under test draws no chance of its own. */
  readonly seed?: number;
  /** How long code under test may take by a real clock while it is waited for. Default: 4 s, less than what a test may take. */
  readonly patienceMs?: number;
  /**
   * How often time leaps for others while nothing happens to the run that is waited for, nor to its children: then it is taken for one
   * that waits for ever. A schedule beside it would otherwise keep time going without end. Default: 1,000.
   */
  readonly leapsMax?: number;
  /** Hears each line that services and workers log. */
  readonly onLog?: (line: string) => void;
}

export interface SkipOptions {
  /**
   * Lets time pass also while a step, a tool or a model is being executed: for what is to run out of time. Without it that is
   * waited for.
   */
  readonly whileExecuting?: boolean;
}

/** A fact of a run, as the log has it. */
export interface TestFact {
  readonly type: string;
  readonly data: unknown;
  readonly at: Date;
}

const START_AT = '2026-01-01T00:00:00Z';
const SEED = 1;
const PATIENCE_MS = 4_000;
const LEAPS_MAX = 1_000;
const DEFAULT_POOL = 'default';
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
  private readonly reader: Place;
  private readonly workers = new Map<string, TestWorker>();
  private readonly persons: Persons;
  private services: Services;

  private readonly behaviours: readonly Behaviour[];

  private constructor(private readonly options: TestEnvironmentOptions) {
    this.behaviours = withModels(options.behaviours ?? [], options.models ?? []);
    const { startAt = START_AT, seed = SEED, onLog: log = () => undefined } = options;
    this.premises = new Premises({ startAtMs: new Date(startAt).getTime(), seed, log });
    this.services = new Services(this.premises);
    this.persons = new Persons(this.premises, this.tenant);
    this.reader = this.premises.place('reader');
    this.rest = new Rest(this.reader.store);
    this.pilot = new Pilot({
      time: this.premises.time,
      rest: this.rest,
      patienceMs: options.patienceMs ?? PATIENCE_MS,
      leapsMax: options.leapsMax ?? LEAPS_MAX,
      executed: () => [...this.workers.values()].flatMap((worker) => worker.executed),
      pausing: () => [...this.workers.values()].reduce((sum, worker) => sum + worker.pausing, 0),
      nextScheduledMs: () => this.services.nextScheduledMs,
      clockWasSet: () => this.services.clockWasSet(),
      waiting: () => this.waiting(),
    });
    const { host, connection } = this.premises.place('client');
    const { pilot, tenant } = this;
    this.client = new PilotedClient({ bus: connection.bus, host, pilot, tenant, news: (runId) => this.newsOf(runId) });
    this.observer = new Client({ bus: connection.bus, host }, { tenant });
  }

  /** Resolves when the workers are registered and take runs. */
  static async create(options: TestEnvironmentOptions = {}): Promise<TestEnvironment> {
    const environment = new TestEnvironment(options);
    await environment.during(environment.start());
    return environment;
  }

  now(): Date {
    return new Date(this.premises.time.nowMs);
  }

  /** Lets so much time pass, with all that falls due in it. */
  skip(duration: Duration, options: SkipOptions = {}): Promise<void> {
    return this.skipTo(new Date(this.now().getTime() + millisecondsOf(duration)), options);
  }

  skipTo(when: Date | string, { whileExecuting = false }: SkipOptions = {}): Promise<void> {
    const untilMs = new Date(when).getTime();
    return new Promise((resolve, reject) => this.pilot.join({ untilMs, whileExecuting, arrived: resolve, strand: reject }));
  }

  /** Resolves when everything that can happen without waiting has happened. */
  settle(): Promise<void> {
    return this.skipTo(this.now());
  }

  /** What the log says of a run. */
  async facts(runId: string): Promise<readonly TestFact[]> {
    const { store, host } = this.reader;
    const address = runAddress(this.tenant, runId);
    const events = await store.read(runStream.build(address), { direction: 'forward', from: 'start', limit: FACTS_PAGE });
    const codec = new RunCodec({ blobs: this.premises.blobs, host });
    const factOf = async (event: RecordedEvent): Promise<TestFact> => {
      const { type, data } = await codec.decode(address, event);
      return { type, data, at: new Date(event.recordedAtMs) };
    };
    return Promise.all(events.map(factOf));
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

  /** What a run asks a role (`ctx.ask`) this person may answer: `client.tasks.answer({ runId, call }, answer, { by })`. */
  async enroll(person: string, roles: readonly string[]): Promise<void> {
    await this.persons.enroll(person, roles);
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

  /** Ends everything; what is still waited for is rejected with `EnvironmentClosed`. */
  async close(): Promise<void> {
    this.pilot.close();
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
    const { behaviours } = this;
    const tools = [...new Set([...(this.options.tools ?? []), ...behaviours.flatMap((behaviour) => behaviour.tools)])];
    const pools = new Set([...behaviours, ...tools].map(({ pool }) => pool ?? DEFAULT_POOL));
    for (const pool of pools) {
      const hosted = behaviours.filter((behaviour) => behaviour.pool === pool);
      // Those that have no pool are executed by whoever holds the run.
      const offered = tools.filter((tool) => tool.pool === undefined || tool.pool === pool);
      const worker = new TestWorker(this.premises, { tenant: this.tenant, pool, behaviours: hosted, tools: offered });
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

  private waiting(): Promise<readonly RunView[]> {
    return Promise.all(this.rest.open(RUNS_DESCRIBED).map((stream) => this.observer.view(runStream.parse(stream).runId)));
  }

  /** A run with a time of its own to come goes on some day, whatever others do until then. */
  private newsOf(runId: string): number {
    const { facts, hasTimer } = this.rest.familyOf(runStream.build(runAddress(this.tenant, runId)));
    return hasTimer ? this.premises.time.nowMs : facts;
  }
}
