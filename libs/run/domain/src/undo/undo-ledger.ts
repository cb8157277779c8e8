import type { EffectClass, EffectsLeft, EndingOutcome } from '@perdure/run-contract';
import { STAYS_NAMED_MAX, UNDO_ENTRIES_MAX } from '../bounds';

/** What would undo an effect of a run: declared by its tool, or registered by the code of a workflow. */
export interface UndoEntry {
  /** Its name in the run: calls of different branches share theirs. */
  readonly call: string;
  readonly tool: string;
  readonly effectClass: EffectClass;
  readonly args: unknown;
  readonly argsHash: string;
  /** Of a declared one: what the effect came to. */
  readonly by: { readonly kind: 'code' } | { readonly kind: 'tool'; readonly result: unknown };
}

interface Named {
  readonly call: string;
  readonly what: string;
}

/** The confirmed effects of a run that are not pure; newest last. */
export interface UndoLedger {
  readonly entries: readonly UndoEntry[];
  /** Without anything that would undo them: the newest are named, the others counted. */
  readonly stays: readonly Named[];
  readonly staysBeyond: number;
  /** Of branches that were left: nobody knows whether they happened, and nobody finds out. The newest are named. */
  readonly unknown: readonly Named[];
}

export const emptyLedger: UndoLedger = { entries: [], stays: [], staysBeyond: 0, unknown: [] };

export function withEntry(ledger: UndoLedger, entry: UndoEntry): UndoLedger {
  // The state of a run stays bounded: what no longer fits is said to stay.
  if (ledger.entries.length >= UNDO_ENTRIES_MAX) return withStaying(ledger, { call: entry.call, what: entry.tool });
  return { ...ledger, entries: [...ledger.entries, entry] };
}

export function withStaying(ledger: UndoLedger, effect: Named): UndoLedger {
  const stays = [...ledger.stays, effect];
  if (stays.length <= STAYS_NAMED_MAX) return { ...ledger, stays };
  return { ...ledger, stays: stays.slice(1), staysBeyond: ledger.staysBeyond + 1 };
}

/** What is left behind with a branch. */
export function withUnknown(ledger: UndoLedger, effects: readonly Named[]): UndoLedger {
  return { ...ledger, unknown: [...ledger.unknown, ...effects].slice(-STAYS_NAMED_MAX) };
}

/** A run whose end is decided, and whose effects are being undone. */
export interface Ending {
  readonly outcome: EndingOutcome;
  readonly sinceMs: number;
  readonly cancelRequested: boolean;
  readonly undoByMs: number;
  readonly undone: readonly Named[];
  readonly notUndone: readonly (Named & { readonly why: string })[];
  /** Nobody knows whether they happened, and nobody finds out. */
  readonly unknown: readonly Named[];
}

export interface LeftOver {
  readonly ledger: UndoLedger;
  readonly ending: Ending | undefined;
  readonly unknown: readonly Named[];
  /** Why what was not tried is not undone. */
  readonly why: string;
}

/** What a terminal fact says of the effects; undefined when there is nothing to say. */
export function effectsLeft({ ledger, ending, unknown, why }: LeftOver): EffectsLeft | undefined {
  const untried = ledger.entries.map(({ call, tool }) => ({ call, what: tool, why }));
  const effects: EffectsLeft = {
    undone: [...(ending?.undone ?? [])],
    notUndone: [...(ending?.notUndone ?? []), ...untried.reverse()],
    stays: [...ledger.stays],
    unknown: [...(ending?.unknown ?? []), ...unknown],
    ...(ledger.staysBeyond === 0 ? {} : { staysBeyond: ledger.staysBeyond }),
  };
  const { undone, notUndone, stays } = effects;
  return undone.length + notUndone.length + stays.length + effects.unknown.length === 0 ? undefined : effects;
}
