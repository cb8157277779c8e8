import { errorRecordOf, PerdureError, StoreUnavailable, type Decision, type ErrorRecord, type Host } from '@perdure/kernel';
import { runStream, SEGMENT_BYTES, type RunAddress, type RunEvent, type RunRejection } from '@perdure/run-contract';
import { evolve, isOpen, noRun, type DecidedCommand, type RunState } from '@perdure/run-domain';
import { outgoingFact, type FactPublisher } from './fact-publisher';
import type { FactToStore, Provenance, RunCodec } from './run.codec';
import type { RunLog } from './run.log';
import { SNAPSHOT_EVERY, type Snapshots } from './snapshots';

/**
 * One run, in memory, at its owner: commands are judged one after another, and what they lead to is appended
 * together.
 *
 * 1. Nothing is answered, published or dispatched before the append that it rests on is acknowledged.
 * 2. A refused append drops the state: everything under way is judged again on what the log says.
 * 3. A rejection rests on what precedes it in the same batch, so it too waits for the append.
 * 4. What was looked up for a command by an old state is never judged with: the asker is told to ask again.
 * 5. An answer that rests on no append rests on a look at the log: another instance may own the run by now, and
 *    what is held here may be old.
 */

/** Commands in one append: bounds the time for which the first of them waits. */
const BATCH_MAX = 64;
/** Facts, or entries of a report, in one append, beyond which the next command waits for the next one. */
const BATCH_FACTS_MAX = 256;
/** How often a batch is judged anew after a refused append before the caller is told to try again. */
const FENCED_MAX = 3;

export interface RunCommandJob {
  readonly given: DecidedCommand;
  /** The state by which the code in `given` was looked up, if it was: `codeStamp` of it. */
  readonly codeStamp?: number;
  readonly provenance: Provenance;
}

/** What a command led to, after its facts are durable. */
export type Judged =
  { readonly accepted: true; readonly state: RunState } | { readonly accepted: false; readonly rejection: ErrorRecord };

/** What was appended, for those who act on it. */
export interface AppendedFacts {
  readonly address: RunAddress;
  readonly before: RunState;
  readonly after: RunState;
  readonly events: readonly RunEvent[];
}

export interface ActorPorts {
  readonly host: Host;
  readonly log: RunLog;
  readonly codec: RunCodec;
  readonly snapshots: Snapshots;
  deciderOf(address: RunAddress): { decide(given: DecidedCommand, state: RunState): Decision<RunEvent, RunRejection> };
  readonly publisher: Pick<FactPublisher, 'begin' | 'abandon' | 'publish' | 'heard'>;
  /** The facts are durable and published. Must not throw. */
  onAppended(appended: AppendedFacts): void;
}

interface Waiting extends RunCommandJob {
  fenced: number;
  resolve(judged: Judged): void;
  reject(error: unknown): void;
}

interface Batch {
  readonly judged: { readonly job: Waiting; readonly rejection: ErrorRecord | undefined }[];
  readonly events: FactToStore[];
  readonly state: RunState;
}

const NOT_OPEN = -1;

/** Changes whenever other code may be meant. */
export function codeStamp(state: RunState): number {
  return isOpen(state) ? state.epoch : NOT_OPEN;
}

export class RunActor {
  private queue: Waiting[] = [];
  private running = false;
  private held: RunState | undefined;
  /** Under way. */
  private reading: Promise<RunState> | undefined;
  private snapshotRevision = 0;
  /** Of facts that were appended since the journal was last sealed: it has grown by no more. */
  private unsealedBytes = 0;

  private readonly decider: ReturnType<ActorPorts['deciderOf']>;

  constructor(
    readonly address: RunAddress,
    private readonly ports: ActorPorts,
  ) {
    this.decider = ports.deciderOf(address);
  }

  /** The state as last acknowledged; undefined before the first command. */
  get state(): RunState | undefined {
    return this.held;
  }

  get idle(): boolean {
    return !this.running && this.queue.length === 0;
  }

  /** The log holds this revision: what is older is not worth keeping. */
  forgetBefore(revision: number): void {
    if (!this.running && this.held !== undefined && this.held.revision < revision) this.forget();
  }

  submit(job: RunCommandJob): Promise<Judged> {
    return new Promise((resolve, reject) => {
      this.queue.push({ ...job, fenced: 0, resolve, reject });
      void this.run();
    });
  }

  /**
   * The present state, reading it if it is not held. Whoever asks while it is being read is given what that read finds: after
   * a restart many ask for many runs at once, and none is to be read twice.
   */
  async settled(): Promise<RunState> {
    // That there is no such run may be true no longer: it costs one read to look again.
    if (this.held !== undefined && this.held.status !== 'none') return this.held;
    const reading = (this.reading ??= this.read());
    try {
      return await reading;
    } finally {
      if (this.reading === reading) this.reading = undefined;
    }
  }

  private async read(): Promise<RunState> {
    const loaded = await this.ports.log.load(this.address, (recorded) => this.ports.publisher.heard(this.address, recorded));
    const state = isOpen(loaded) ? await this.ports.snapshots.seal(this.address, loaded) : loaded;
    if (this.held === undefined || this.held.revision < state.revision) this.held = state;
    // As if the last one had been taken in its time: else every cold start would take another.
    this.snapshotRevision = Math.max(this.snapshotRevision, state.revision - (state.revision % SNAPSHOT_EVERY));
    return this.held;
  }

  /** What is held, or being read, may be older than the log. */
  private forget(): void {
    this.held = undefined;
    this.reading = undefined;
  }

  private async run(): Promise<void> {
    if (this.running) return;
    this.running = true;
    try {
      while (this.queue.length > 0) await this.runBatch();
    } finally {
      this.running = false;
    }
  }

  private async runBatch(): Promise<void> {
    const taken: Waiting[] = [];
    try {
      // Awaited either way: what arrives in the same breath goes into the same append.
      const before = await (this.presumedNew() ? noRun : this.settled());
      const batch = this.judge(before, taken);
      const isCurrent =
        batch.events.length > 0 ? this.commit(before, batch) : this.ports.log.isHead(this.address, before.revision);
      if (!(await isCurrent)) return this.again(taken);
      this.ports.host.crashPoint('owner.before-answer', () => batch.events.map(({ event }) => event.type));
      for (const { job, rejection } of batch.judged) {
        job.resolve(rejection === undefined ? { accepted: true, state: batch.state } : { accepted: false, rejection });
      }
      if (batch.events.length > 0) await this.maybeSnapshot();
    } catch (error) {
      this.forget();
      const failed = taken.length > 0 ? taken : this.queue.splice(0);
      for (const job of failed) job.reject(error);
      if (!(error instanceof PerdureError))
        this.ports.host.log.error('run not handled', { ...this.address, reason: String(error) });
    }
  }

  /** A run id is new nearly always when a run is requested: the append itself finds out, since it expects no stream. */
  private presumedNew(): boolean {
    const [first] = this.queue;
    return this.held === undefined && first?.given.command.type === 'RequestRun' && first.fenced === 0;
  }

  private judge(before: RunState, taken: Waiting[]): Batch {
    let state = before;
    const judged: Batch['judged'] = [];
    const events: Batch['events'] = [];
    let weight = 0;
    while (this.queue.length > 0 && taken.length < BATCH_MAX && weight < BATCH_FACTS_MAX) {
      const job = this.queue.shift() as Waiting;
      if (job.codeStamp !== undefined && job.codeStamp !== codeStamp(state)) {
        job.reject(askAgain());
        continue;
      }
      taken.push(job);
      const decision = this.decide(job, state);
      if ('rejected' in decision) {
        judged.push({ job, rejection: decision.rejected });
        continue;
      }
      for (const accepted of decision.accepted) {
        const event: RunEvent = { ...accepted, atMs: job.given.at.nowMs };
        state = evolve(state, event);
        events.push({ event, provenance: job.provenance, branch: state.status === 'none' ? 0 : state.branch });
        weight += event.type === 'StepsRecorded' ? event.data.entries.length : 1;
      }
      judged.push({ job, rejection: undefined });
    }
    return { judged, events, state };
  }

  /** A command that cannot even be judged is a bug of ours or of its sender: its neighbours in the batch are not to blame. */
  private decide({ given }: Waiting, state: RunState): Decision<RunEvent, ErrorRecord> {
    try {
      return this.decider.decide(given, state);
    } catch (error) {
      this.ports.host.log.error('command not judged', { ...this.address, command: given.command.type, reason: String(error) });
      return { rejected: errorRecordOf(error) };
    }
  }

  /** False = the revision was refused; nothing was written. */
  private async commit(before: RunState, batch: Batch): Promise<boolean> {
    const { codec, host, log, publisher } = this.ports;
    const { stored, bytes } = await codec.encodeAll(this.address, batch.events);
    const after = await this.sealed(batch.state, bytes);
    const kinds = (): readonly string[] => stored.map(({ type }) => type);
    host.crashPoint('owner.before-append', kinds);
    const ticket = publisher.begin();
    const appended = await log.append(this.address, before.revision, stored).catch((error: unknown) => {
      publisher.abandon(ticket);
      throw error;
    });
    host.crashPoint('owner.after-append', kinds);
    if (appended.outcome === 'fenced') {
      publisher.abandon(ticket);
      return false;
    }
    this.held = after;
    const stream = runStream.build(this.address);
    const facts = stored.map((event, index) =>
      outgoingFact(this.address, { ...event, stream, revision: before.revision + 1 + index }),
    );
    publisher.publish(ticket, facts, appended.position);
    this.ports.onAppended({ address: this.address, before, after, events: batch.events.map(({ event }) => event) });
    return true;
  }

  /** Before the append, so that no worker is told of a run whose journal has outgrown a message. */
  private async sealed(state: RunState, bytes: number): Promise<RunState> {
    this.unsealedBytes += bytes;
    if (!isOpen(state) || this.unsealedBytes < SEGMENT_BYTES) return state;
    const sealed = await this.ports.snapshots.seal(this.address, state);
    this.unsealedBytes = 0;
    return sealed;
  }

  private again(taken: readonly Waiting[]): void {
    this.forget();
    const retried: Waiting[] = [];
    for (const job of taken) {
      job.fenced += 1;
      if (job.fenced <= FENCED_MAX) retried.push(job);
      else job.reject(askAgain());
    }
    this.queue.unshift(...retried);
  }

  private async maybeSnapshot(): Promise<void> {
    const state = this.held;
    if (state === undefined || !isOpen(state)) return;
    if (state.revision - this.snapshotRevision < SNAPSHOT_EVERY) return;
    this.snapshotRevision = state.revision;
    try {
      this.held = await this.ports.snapshots.save(this.address, state);
    } catch (error) {
      this.ports.host.log.warn('snapshot not taken', { ...this.address, reason: String(error) });
    }
  }
}

function askAgain(): StoreUnavailable {
  return new StoreUnavailable('Another instance is appending to this run. Ask again: its owner will answer.');
}
