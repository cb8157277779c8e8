import { partitionOf, Retryable } from '@perdure/kernel';
import type { RunAddress } from '@perdure/run-contract';
import { keyOf } from './activation-keeper';
import type { Ownership } from './ports';
import { RunActor, type ActorPorts } from './run.actor';

/** Runs held folded in memory; those that nothing waits for go first. */
const HOT_RUNS_MAX = 20_000;
/** Making room in strides, so that not every new run pays for it. */
const KEPT_AFTER_EVICTION = HOT_RUNS_MAX * 0.9;

export class HotRuns {
  private readonly actors = new Map<string, RunActor>();

  constructor(
    private readonly ownership: Ownership,
    private readonly actorPorts: ActorPorts,
    private readonly isAwaited: (key: string) => boolean,
  ) {}

  /**
   * The run, cold if it was not held.
   * @throws Retryable `PartitionMoved` when another instance owns it
   */
  of(address: RunAddress): RunActor {
    const known = this.actors.get(keyOf(address));
    if (known !== undefined) return known;
    if (!this.ownership.owns(partitionOf(address.runId))) {
      throw new Retryable('PartitionMoved', 'Another instance owns this run now. Send the request again.', { retryAfterMs: 50 });
    }
    const actor = new RunActor(address, this.actorPorts);
    this.actors.set(keyOf(address), actor);
    if (this.actors.size > HOT_RUNS_MAX) this.evict();
    return actor;
  }

  peek(address: RunAddress): RunActor | undefined {
    return this.actors.get(keyOf(address));
  }

  /** Lets go of the runs of partitions that are not owned any more. */
  *drop(partitions: ReadonlySet<number>): Iterable<RunAddress> {
    for (const [key, { address }] of this.actors) {
      if (!partitions.has(partitionOf(address.runId))) continue;
      this.actors.delete(key);
      yield address;
    }
  }

  private evict(): void {
    for (const [key, actor] of this.actors) {
      if (this.actors.size <= KEPT_AFTER_EVICTION) return;
      const status = actor.state?.status;
      if (actor.idle && status !== 'active' && status !== 'placing' && !this.isAwaited(key)) this.actors.delete(key);
    }
  }
}
