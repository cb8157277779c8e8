import type { InboundFact, JournalEntry, ProgressEntry } from '@perdure/run-contract';

/** Of a report: what is given to the code. */
export function isJournalEntry(entry: ProgressEntry): entry is JournalEntry {
  return entry.type === 'step' || entry.type === 'value' || entry.type === 'delivered';
}

/** The run of journal entries that begins at `start`: they become one fact. */
export function entriesFrom(entries: readonly ProgressEntry[], start: number): JournalEntry[] {
  const run: JournalEntry[] = [];
  for (let index = start; index < entries.length; index += 1) {
    const entry = entries[index] as ProgressEntry;
    if (!isJournalEntry(entry)) break;
    run.push(entry);
  }
  return run;
}

/** An inbound fact is delivered to the call that waits for it, once. */
export function firstUndeliverable(steps: readonly JournalEntry[], inbound: readonly InboundFact[]): JournalEntry | undefined {
  let left = inbound;
  return steps.find((step) => {
    if (step.type !== 'delivered') return false;
    const rest = left.filter((fact) => fact.revision !== step.revision || fact.call !== step.call);
    const isThere = rest.length < left.length;
    left = rest;
    return !isThere;
  });
}
