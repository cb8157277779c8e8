import { InvariantViolated, type Json, type Keeper, type RecordedEvent } from '@perdure/kernel';
import { runStream, TERMINAL_EVENT_TYPES, type RunAddress, type RunEvent } from '@perdure/run-contract';

/**
 * The index of the promises that owners keep: runs that hold a permit, and with which session of which worker.
 * Beside them runs that nobody holds while workers of other pools have effects of theirs to execute.
 * It covers every partition, so that an instance that takes one over has nothing to load but the runs themselves.
 */
export interface OwnedRun {
  readonly address: RunAddress;
  readonly revision: number;
  /** Absent while the run is between two workers. */
  readonly sessionId: string | undefined;
}

type Indexed = readonly (readonly [stream: string, revision: number, sessionId: string | null])[];

const OPENING: readonly string[] = ['RunAssigned', 'ActivationLost'];
const CLOSING: readonly string[] = [
  'RunSuspended',
  'RunEnding',
  'RunQuarantined',
  'RunPaused',
  'CodeDiverged',
  ...TERMINAL_EVENT_TYPES,
];

export class OwnerKeeper implements Keeper {
  readonly name = 'orchestrator';
  readonly eventTypes = [...OPENING, ...CLOSING];
  private readonly types = new Set<string>([...OPENING, ...CLOSING]);
  private readonly runs = new Map<string, { revision: number; sessionId: string | undefined; open: boolean }>();

  /** The log has been read to its head: what is not in the index is not open. */
  complete = false;

  /** `onNews`: the log holds this fact, whoever appended it. */
  constructor(
    private readonly onCaughtUp: () => void,
    private readonly onNews: (address: RunAddress, revision: number) => void = () => undefined,
  ) {}

  restore(index: Json | undefined): void {
    this.runs.clear();
    if (index === undefined) return;
    for (const [stream, revision, sessionId] of index as unknown as Indexed) {
      this.runs.set(stream, { revision, sessionId: sessionId ?? undefined, open: true });
    }
  }

  /** A fact that this process appended itself: it need not wait for the log to tell it. */
  noteOwn(address: RunAddress, event: RunEvent, revision: number): void {
    if (this.types.has(event.type))
      this.apply({ stream: runStream.build(address), revision, type: event.type, data: event.data });
  }

  apply(fact: Pick<RecordedEvent, 'stream' | 'revision' | 'type' | 'data'>): void {
    const known = this.runs.get(fact.stream);
    if (known !== undefined && fact.revision <= known.revision) return;
    const { pooledEffects } = fact.data as { pooledEffects?: number };
    if (pooledEffects !== undefined) {
      this.runs.set(fact.stream, { revision: fact.revision, sessionId: undefined, open: true });
    } else if (OPENING.includes(fact.type)) {
      const { sessionId } = fact.data as { sessionId?: string };
      this.runs.set(fact.stream, {
        revision: fact.revision,
        sessionId: fact.type === 'RunAssigned' ? sessionId : undefined,
        open: true,
      });
    } else if (CLOSING.includes(fact.type)) {
      // It stands as a tombstone, since its open may come later by another way, until the next checkpoint.
      this.runs.set(fact.stream, { revision: fact.revision, sessionId: undefined, open: false });
    } else {
      throw new InvariantViolated(`The index of owned runs does not know ${fact.type}.`);
    }
    this.onNews(runStream.parse(fact.stream), fact.revision);
  }

  /** The checkpoint has passed every tombstone: what opened before them will not be seen again. */
  snapshot(): Json {
    for (const [stream, run] of this.runs) if (!run.open) this.runs.delete(stream);
    return [...this.runs].map(([stream, run]) => [stream, run.revision, run.sessionId ?? null]);
  }

  caughtUp(): void {
    this.complete = true;
    this.onCaughtUp();
  }

  /** The session that the run is assigned to; undefined when it holds no permit, or is between two workers. */
  sessionOf(address: RunAddress): string | undefined {
    return this.runs.get(runStream.build(address))?.sessionId;
  }

  *open(): Iterable<OwnedRun> {
    for (const [stream, run] of this.runs) {
      if (run.open) yield { address: runStream.parse(stream), revision: run.revision, sessionId: run.sessionId };
    }
  }
}
