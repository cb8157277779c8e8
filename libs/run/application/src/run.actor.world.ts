import type { OutgoingFact, PayloadsUnavailable } from '@perdure/kernel';
import { MemoryBlobStore } from '@perdure/platform-blob-memory';
import { MemoryEventStore, MemoryLog } from '@perdure/platform-event-store-memory';
import { runAddress, runStream, type ProgressEntry } from '@perdure/run-contract';
import { runDecider, type DomainCommand, type RunState } from '@perdure/run-domain';
import { commandIdAt, knownCode, ManualHost, specIdentities, START_MS, UnsureStore, workflowManifest } from '@perdure/testing';
import { RunActor, type AppendedFacts, type Judged } from './run.actor';
import { RunCodec } from './run.codec';
import { RunLog } from './run.log';
import { Snapshots } from './snapshots';

export const address = runAddress('acme', 'run1');
export const stream = runStream.build(address);
export const decider = runDecider(specIdentities);

class ModestBlobs extends MemoryBlobStore {
  refuses: PayloadsUnavailable | undefined;

  override async put(tenant: string, content: string): Promise<string> {
    if (this.refuses !== undefined) throw this.refuses;
    return super.put(tenant, content);
  }
}

/** A log that outlives the owners of one run. */
export class World {
  readonly host = new ManualHost({ nowMs: START_MS });
  readonly log = new MemoryLog(this.host.clock);
  readonly blobs = new ModestBlobs();
  readonly store = new UnsureStore(new MemoryEventStore(this.log));
  readonly published: OutgoingFact[] = [];
  readonly appended: AppendedFacts[] = [];
  readonly happened: string[] = [];

  actor(store = this.store): RunActor {
    const codec = new RunCodec({ blobs: this.blobs, host: this.host });
    const snapshots = new Snapshots({ store, blobs: this.blobs, host: this.host });
    return new RunActor(address, {
      host: this.host,
      codec,
      snapshots,
      log: new RunLog({ store, host: this.host }, codec, snapshots),
      deciderOf: () => decider,
      publisher: {
        begin: () => ({ beyond: 'start' }),
        abandon: () => void this.happened.push('abandoned'),
        heard: () => undefined,
        publish: (_, facts) => {
          this.happened.push('published');
          this.published.push(...facts);
        },
      },
      onAppended: (appended) => this.appended.push(appended),
    });
  }

  async types(): Promise<string[]> {
    const events = await this.store.read(stream, { direction: 'forward', from: 'start', limit: 10_000 });
    return events.map(({ type }) => type);
  }

  async fullFold(): Promise<RunState> {
    const codec = new RunCodec({ blobs: this.blobs, host: this.host });
    let state: RunState = decider.initial;
    for (const event of await this.store.read(stream, { direction: 'forward', from: 'start', limit: 100_000 })) {
      state = decider.evolve(state, await codec.decode(address, event));
    }
    return state;
  }

  readonly waiting: Promise<Judged>[] = [];
  private sent = 0;

  send(actor: RunActor, command: DomainCommand): Promise<Judged> {
    this.sent += 1;
    const at = { nowMs: START_MS, commandId: commandIdAt(START_MS, this.sent), fraction: 0.5 };
    const judged = actor.submit({
      given: { command, at, code: knownCode(workflowManifest()) },
      provenance: { commandId: at.commandId, actor: 'user:ann', traceparent: undefined },
    });
    judged.then(
      () => this.happened.push('answered'),
      () => this.happened.push('failed'),
    );
    return judged;
  }
}

export const REQUEST: DomainCommand = {
  type: 'RequestRun',
  kind: 'workflow',
  name: 'invoice',
  pool: 'default',
  input: 1,
  requestHash: 'h',
  deadlineMs: undefined,
};
export const RELEASE: DomainCommand = {
  type: 'ReleaseRun',
  permitId: 'p',
  term: 1,
  workerId: 'w',
  sessionId: 's',
  buildId: 'b',
  notAfterMs: START_MS + 1,
};
export const CANCEL: DomainCommand = { type: 'CancelRun', reason: 'no' };
export const step = (call: string, value = call): ProgressEntry => ({
  type: 'step',
  call,
  name: 's',
  outcome: { ok: true, value },
});
export const report = (seq: number, ...entries: readonly ProgressEntry[]): DomainCommand => ({
  type: 'RecordProgress',
  epoch: 1,
  seq,
  entries: [...entries],
});
