import { comparePositions, partitionOf, type Position, type RecordedEvent } from '@perdure/kernel';
import { runStream } from '@perdure/run-contract';
import type { Finding } from './run-audit';

export interface PublicationAudit {
  /** Facts of runs, in the order of the log. */
  readonly facts: readonly RecordedEvent[];
  /** Marks of republication, in the order of the log. */
  readonly marks: readonly RecordedEvent[];
  /** When the broker stored a fact for the first time, on the clock of the store; undefined = never. */
  storedAtMs(eventId: string): number | undefined;
}

/** The mark is written by a request of its own, after what it speaks for: both clocks count whole milliseconds. */
const CLOCK_GRAIN_MS = 1;

/** I14: a fact is published, or it lies beyond the mark from which it will be. */
export function auditPublication({ facts, marks, storedAtMs }: PublicationAudit): readonly Finding[] {
  const findings: Finding[] = [];
  const placed = facts.map((fact) => ({
    fact,
    partition: partitionOf(runStream.parse(fact.stream).runId),
    storedMs: storedAtMs(fact.id),
  }));
  for (const mark of marks) {
    const { position, partitions } = mark.data as { position: Position; partitions: readonly number[] };
    const spokenFor = new Set(partitions);
    for (const { fact, partition, storedMs } of placed) {
      if (!spokenFor.has(partition) || comparePositions(fact.position, position) > 0) continue;
      if (storedMs !== undefined && storedMs <= mark.recordedAtMs + CLOCK_GRAIN_MS) continue;
      findings.push({
        invariant: 'I14',
        message: `${fact.stream}@${fact.revision} ${fact.type} lies before the mark ${mark.revision} and was not published`,
      });
    }
    if (findings.length > 0) return findings.slice(0, 3);
  }
  return findings;
}

/** After the faults, and some time: everything is published. */
export function auditCompletelyPublished({
  facts,
  storedAtMs,
}: Pick<PublicationAudit, 'facts' | 'storedAtMs'>): readonly Finding[] {
  const missing = facts.filter(({ id }) => storedAtMs(id) === undefined);
  return missing
    .slice(0, 3)
    .map(({ stream, revision, type }) => ({ invariant: 'I14', message: `${stream}@${revision} ${type} was never published` }));
}
