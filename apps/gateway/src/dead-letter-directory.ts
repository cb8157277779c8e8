import type { Json, Keeper, RecordedEvent } from '@perdure/kernel';
import { runStream, TERMINAL_EVENT_TYPES, type RunEventOf } from '@perdure/run-contract';

/** An effect whose attempts are exhausted, and that waits for a person. */
export interface DeadLetter {
  readonly tenant: string;
  readonly runId: string;
  readonly call: string;
  readonly tool: string;
  readonly effectClass: string;
  readonly attempt: number;
  readonly because: string;
  /** Code of the last error; its text is in the view of the run. */
  readonly errorCode: string;
  readonly deadLetteredAtMs: number;
}

export interface DeadLetterQuery {
  readonly tenant: string;
  readonly tool?: string;
  readonly limit: number;
}

const OPENS = 'EffectDeadLettered';
const CLOSES: readonly string[] = ['EffectRedriven', 'EffectGivenUp', 'ApprovalExpired'];

/** Which effects wait in the dead letters: a projection in memory. A fact not newer than what a run shows changes nothing. */
export class DeadLetterDirectory implements Keeper {
  readonly name = 'dead-letters';
  readonly eventTypes: readonly string[] = [OPENS, ...CLOSES, ...TERMINAL_EVENT_TYPES];
  /** By run, then by call. Runs without dead letters are not held. */
  private readonly runs = new Map<string, { readonly revision: number; readonly letters: readonly DeadLetter[] }>();
  private complete = false;

  /** False until the log has been followed to its head once. */
  get isComplete(): boolean {
    return this.complete;
  }

  caughtUp(): void {
    this.complete = true;
  }

  restore(index: Json | undefined): void {
    this.runs.clear();
    const stored = (index ?? []) as unknown as readonly (readonly [string, number, readonly DeadLetter[]])[];
    for (const [stream, revision, letters] of stored) this.runs.set(stream, { revision, letters });
  }

  snapshot(): Json {
    return [...this.runs].map(([stream, { revision, letters }]) => [stream, revision, letters]) as unknown as Json;
  }

  apply(fact: RecordedEvent): void {
    const known = this.runs.get(fact.stream) ?? { revision: -1, letters: [] };
    if (fact.revision <= known.revision) return;
    const letters = after(known.letters, fact);
    if (letters.length === 0) this.runs.delete(fact.stream);
    else this.runs.set(fact.stream, { revision: fact.revision, letters });
  }

  /** Oldest first. */
  list({ tenant, tool, limit }: DeadLetterQuery): readonly DeadLetter[] {
    return [...this.runs.values()]
      .flatMap(({ letters }) => letters)
      .filter((letter) => letter.tenant === tenant && (tool === undefined || letter.tool === tool))
      .sort((left, right) => left.deadLetteredAtMs - right.deadLetteredAtMs)
      .slice(0, limit);
  }
}

function after(letters: readonly DeadLetter[], fact: RecordedEvent): readonly DeadLetter[] {
  if ((TERMINAL_EVENT_TYPES as readonly string[]).includes(fact.type)) return [];
  const { call } = fact.data as RunEventOf<'EffectDeadLettered' | 'EffectRedriven' | 'EffectGivenUp'>['data'];
  const others = letters.filter((letter) => letter.call !== call);
  return fact.type === OPENS ? [...others, letterOf(fact)] : others;
}

function letterOf({ stream, data, recordedAtMs }: RecordedEvent): DeadLetter {
  const { tenant, runId } = runStream.parse(stream);
  const { call, tool, effectClass, attempt, because, error } = data as RunEventOf<'EffectDeadLettered'>['data'];
  return { tenant, runId, call, tool, effectClass, attempt, because, errorCode: error.code, deadLetteredAtMs: recordedAtMs };
}
