import {
  canonicalJson,
  errorRecordOf,
  partitionOf,
  type BusMessage,
  type Digest,
  type Keeper,
  type Subscription,
} from '@perdure/kernel';
import { childRunId, messageIdOf, partitionSubject, requestSubject, type RunAddress } from '@perdure/run-contract';
import { runDecider, type Identities, type RunState } from '@perdure/run-domain';
import { keyOf } from './activation-keeper';
import { Caretaker } from './caretaker';
import { CodeBook } from './code-book';
import { FactPublisher } from './fact-publisher';
import { HotRuns } from './hot-runs';
import { ModelCalls } from './model-calls';
import { OwnerKeeper } from './owner.keeper';
import type { OwnerPorts } from './ports';
import { refused } from './request';
import { RunDesk } from './run-desk';
import type { ActorPorts } from './run.actor';
import { RunHistory } from './run-history';
import { RunCodec } from './run.codec';
import { RunLog } from './run.log';
import { Snapshots } from './snapshots';
import { UntoldRefusals } from './untold-refusals';
import { Waiters } from './waiters';
import type { WorkerRegistry } from './worker-registry';

/** Its owner answers after one append, or is about to move. */
const ASK_TIMEOUT_MS = 5_000;

/**
 * The owner of the runs of its partitions.
 *
 * 1. Only the owner of a partition appends to its runs; an overlap is harmless, since revisions are expected.
 * 2. A partition that is gained is listened to at once; what its open runs demand is taken up as soon as the index
 *    of promises is complete.
 * 3. Nobody is judged dead by an owner that has not listened for one full period.
 */
export class RunOwner {
  /** To be driven by the log follower of the process. */
  readonly keepers: readonly Keeper[];
  readonly keeper: OwnerKeeper;
  private readonly publisher: FactPublisher;
  private readonly runs: HotRuns;
  private readonly desk: RunDesk;
  private readonly modelCalls: ModelCalls;
  private readonly caretaker: Caretaker;
  private readonly listening = new Map<number, Subscription>();
  private ownershipChanges: Subscription | undefined;
  private indexComplete = false;
  private readonly untold: UntoldRefusals;

  constructor(private readonly ports: OwnerPorts) {
    const { host } = ports;
    this.keeper = new OwnerKeeper(
      () => this.onIndexComplete(),
      // Another instance may have appended it: whoever is asked here must not answer from before.
      (address, revision) => this.runs.peek(address)?.forgetBefore(revision),
    );
    this.publisher = new FactPublisher(ports);
    this.untold = new UntoldRefusals(host);
    const waiters = new Waiters(host);
    const code = new CodeBook(ports);
    const readers = new Waiters(host);
    const snapshots = new Snapshots(ports);
    const isAwaited = (key: string): boolean => waiters.has(key) || readers.has(key);
    this.runs = new HotRuns(ports.ownership, this.actorPorts(snapshots, waiters), isAwaited);
    const stateOf = (address: RunAddress): Promise<RunState> => this.runs.of(address).settled();
    this.modelCalls = new ModelCalls({ store: ports.store, codec: new RunCodec(ports), readers, stateOf });
    const history = new RunHistory(ports.store, new RunCodec(ports));
    this.desk = new RunDesk({
      ...ports,
      runs: this.runs,
      code,
      snapshots,
      untold: this.untold,
      waiters,
      modelCalls: this.modelCalls,
      history,
      workers: () => this.workers,
      tell: (address, epoch) => this.caretaker.tell(address, epoch),
      offers: () => this.caretaker.pooled,
    });
    this.caretaker = new Caretaker({
      ...ports,
      runs: this.runs,
      code,
      index: this.keeper,
      ask: (address, request) => this.ask(address, request),
      factAt: (address, revision) => history.factAt(address, revision),
    });
    this.keepers = [this.keeper, this.caretaker.children.index, this.caretaker.messages];
  }

  /** Of a run that is owned here it need not go over the bus. */
  private ask(address: RunAddress, request: string): Promise<string> {
    const { bus, ownership } = this.ports;
    if (ownership.owns(partitionOf(address.runId))) return this.desk.handle(address, request);
    return bus.request(requestSubject.build(address), request, { timeoutMs: ASK_TIMEOUT_MS });
  }

  get workers(): WorkerRegistry {
    return this.caretaker.workers;
  }

  async start(): Promise<void> {
    await this.publisher.start();
    this.caretaker.start();
    this.ownershipChanges = this.ports.ownership.onChange((gained, lost) => {
      this.onLost(lost);
      this.onGained(gained);
    });
  }

  async stop(): Promise<void> {
    await this.ownershipChanges?.close();
    this.onLost([...this.listening.keys()]);
    this.untold.stop();
    await this.caretaker.stop();
    await this.publisher.stop();
  }

  private actorPorts(snapshots: Snapshots, waiters: Waiters): ActorPorts {
    const { host } = this.ports;
    const codec = new RunCodec(this.ports);
    return {
      host,
      codec,
      snapshots,
      log: new RunLog(this.ports, codec, snapshots),
      publisher: this.publisher,
      deciderOf: (address) => runDecider(identitiesOf(host.digest, address)),
      onAppended: (appended) => {
        this.caretaker.onAppended(appended);
        this.modelCalls.onAppended(appended);
        if (appended.after.status === 'ended') waiters.wake(keyOf(appended.address));
      },
    };
  }

  private onGained(partitions: readonly number[]): void {
    if (partitions.length === 0) return;
    for (const partition of partitions) this.listen(partition);
    this.publisher.takeOver(partitions).catch((error: unknown) => {
      this.ports.host.log.error('facts beyond the mark were not published again', { reason: String(error) });
    });
    if (this.indexComplete) void this.caretaker.resumeAll(new Set(partitions));
  }

  private onLost(partitions: readonly number[]): void {
    if (partitions.length === 0) return;
    for (const partition of partitions) {
      void this.listening.get(partition)?.close();
      this.listening.delete(partition);
    }
    this.publisher.release(partitions);
    for (const address of this.runs.drop(new Set(partitions))) this.caretaker.forget(address);
  }

  private onIndexComplete(): void {
    if (this.indexComplete) return;
    this.indexComplete = true;
    void this.caretaker.resumeAll(new Set(this.listening.keys()));
  }

  private listen(partition: number): void {
    if (this.listening.has(partition)) return;
    const subscription = this.ports.bus.subscribe(partitionSubject.build(partition), (message) => void this.onRequest(message));
    this.listening.set(partition, subscription);
  }

  private async onRequest(message: BusMessage): Promise<void> {
    let address: RunAddress;
    try {
      address = partitionSubject.parse(message.subject);
    } catch (error) {
      message.respond(JSON.stringify(refused(errorRecordOf(error))));
      return;
    }
    message.respond(await this.desk.handle(address, message.payload));
  }
}

/** Of what a run starts and sends: from its own identity alone. */
function identitiesOf(digest: Digest, address: RunAddress): Identities {
  return {
    hash: (value) => digest.sha256(canonicalJson(value)),
    childRun: (branch, call) => childRunId(digest, { ...address, branch, call }),
    messageId: (branch, call, nowMs) => messageIdOf(nowMs, digest.sha256(`${keyOf(address)}/${branch}/${call}`)),
  };
}
