import { MemoryBlobStore } from '@perdure/platform-blob-memory';
import { MemoryEventStore, MemoryLog } from '@perdure/platform-event-store-memory';
import {
  commandEnvelope,
  eventSubject,
  requestSubject,
  runAddress,
  runStream,
  type RunCommandOf,
  type RunCommandType,
} from '@perdure/run-contract';
import { LoopbackBus, LoopbackKeyValue } from './loopback-bus';
import { ManualHost } from './manual-host';

export type OwnerAnswer = 'silence' | { readonly refused: string; readonly retryAfterMs?: number };

export interface Happening {
  readonly type: string;
  readonly data: unknown;
}

export type SentCommand<T extends RunCommandType> = RunCommandOf<T> & { readonly runId: string };

/** What surrounds a keeper: a log, a bus, a clock, and owners of runs that answer its commands. One tenant: acme. */
export class KeeperWorld {
  readonly host = new ManualHost();
  readonly bus = new LoopbackBus(this.host);
  readonly leases = new LoopbackKeyValue();
  readonly log = new MemoryLog(this.host.clock);
  readonly store = new MemoryEventStore(this.log);
  readonly blobs = new MemoryBlobStore();
  /** What the owner of a run says; without an entry it accepts. */
  readonly answers = new Map<string, OwnerAnswer>();
  /** So many commands get no answer. */
  silent = 0;
  private readonly revisions = new Map<string, number>();

  constructor() {
    this.bus.subscribe(requestSubject.build(runAddress('acme', 'any')).replace(/any$/, '*'), (message) => {
      const answer = this.answers.get(runIdOf(message.subject));
      if (answer === 'silence') return;
      if (this.silent > 0) {
        this.silent -= 1;
        return;
      }
      message.respond(JSON.stringify(answer === undefined ? { ok: true, value: null } : { ok: false, error: refusal(answer) }));
    });
  }

  /** The same time and chance, as another process has it. */
  hostOf(incarnation: string): ManualHost {
    return Object.assign(Object.create(this.host) as ManualHost, { incarnation });
  }

  /** Published and not, or not yet, told by the log. */
  hintOnly(runId: string, { type, data }: Happening, onSubject = eventSubject.build(runAddress('acme', runId), type)): void {
    const revision = this.nextRevision(runId);
    const stream = runStream.build(runAddress('acme', runId));
    const fact = { v: 1, id: `${runId}-${revision}`, type, stream, revision, data, metadata: { tenant: 'acme' } };
    this.bus.publish(onSubject, JSON.stringify(fact));
  }

  /** In the log; the bus says nothing. */
  async append(runId: string, { type, data }: Happening): Promise<void> {
    this.revisions.set(runId, this.nextRevision(runId));
    const id = this.host.entropy.uuid();
    await this.store.append(runStream.build(runAddress('acme', runId)), 'any', [{ id, type, data, metadata: {} }]);
    await this.host.settle();
  }

  async happen(runId: string, happening: Happening): Promise<void> {
    this.hintOnly(runId, happening);
    await this.append(runId, happening);
  }

  /** Commands of one type that owners were sent, repeats included. */
  commands<T extends RunCommandType>(type: T): readonly SentCommand<T>[] {
    return this.bus.requested
      .filter(({ subject }) => subject.startsWith('perdure.req.'))
      .map(({ subject, payload }) => ({ ...commandEnvelope.parse(JSON.parse(payload)).command, runId: runIdOf(subject) }))
      .filter((command) => command.type === type) as unknown as readonly SentCommand<T>[];
  }

  private nextRevision(runId: string): number {
    return (this.revisions.get(runId) ?? -1) + 1;
  }
}

function runIdOf(subject: string): string {
  return subject.split('.')[4] ?? '';
}

function refusal({ refused, retryAfterMs }: Exclude<OwnerAnswer, 'silence'>): object {
  const reaction = retryAfterMs === undefined ? 'terminal' : 'retryable';
  return { code: refused, message: 'no', reaction, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}
