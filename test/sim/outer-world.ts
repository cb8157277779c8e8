import type { SimProcess, Simulation } from '@perdure/testing';

export type WorkKind = 'pure-step' | 'step' | 'tool' | 'model';

/** One time that user code was run. */
export interface WorkDone {
  readonly kind: WorkKind;
  readonly runId: string;
  readonly name: string;
  readonly atMs: number;
  readonly process: string;
  /** Epoch of the activation that ran it; undefined when the worker did not hold the run any more. */
  readonly epoch: number | undefined;
}

interface Effect {
  /** The run, and the use in its plan. */
  readonly id: string;
  readonly result: number;
  requests: number;
}

/** How a destination knows a use of a tool. */
export interface UseIds {
  readonly key: string;
  readonly executions: readonly string[];
}

/** Everything outside the system that user code touches. It sees what no fact says: how often something was really done. */
export class OuterWorld {
  readonly work: WorkDone[] = [];
  /** By idempotency key: the destination keeps its own promise. */
  readonly effects = new Map<string, Effect>();
  /** By execution: a destination without keys does what it is asked each time. */
  readonly moves = new Map<string, { readonly use: string; readonly result: number }>();

  /** By idempotency key of the undoing. */
  readonly undone = new Map<string, number>();

  constructor(private readonly simulation: Simulation) {}

  begin(process: SimProcess, work: Omit<WorkDone, 'atMs' | 'process'>): void {
    if (!process.alive) return;
    this.simulation.note(`${process.name} does ${work.kind} ${work.name} of ${work.runId} at epoch ${work.epoch ?? 'none'}`);
    this.work.push({ ...work, atMs: this.simulation.nowMs, process: process.name });
  }

  /** At once, whatever becomes of the answer. */
  move(process: SimProcess, move: { readonly execution: string; readonly use: string; readonly result: number }): void {
    if (!process.alive) return;
    this.simulation.note(`${process.name} moves ${move.use} by ${move.execution}`);
    this.moves.set(move.execution, move);
  }

  undo(process: SimProcess, key: string): void {
    if (!process.alive) return;
    this.simulation.note(`${process.name} undoes ${key}`);
    this.undone.set(key, (this.undone.get(key) ?? 0) + 1);
  }

  /** What somebody finds who looks there for this use of a tool: by its key, or by one of its executions. */
  resultOf({ key, executions }: UseIds): number | undefined {
    const move = executions.map((execution) => this.moves.get(execution)).find((found) => found !== undefined);
    return move?.result ?? this.effects.get(key)?.result;
  }

  effect(
    process: SimProcess,
    use: { readonly runId: string; readonly id: string; readonly key: string; readonly result: number },
  ): number {
    const { runId, id, key, result } = use;
    if (!process.alive) return result;
    const known = this.effects.get(key);
    const effect = known ?? { id: `${runId}/${id}`, result, requests: 0 };
    effect.requests += 1;
    this.effects.set(key, effect);
    return effect.result;
  }
}
