import type { CarriedState, RunEvent, RunEventOf, RunEventType } from '@perdure/run-contract';
import { rememberCommand } from '../command-memory';
import { impossible } from '../evolve-calls';
import { emptyJournal, journalFrom } from '../run.journal';
import { newGuard } from '../guard/run.guard';
import { openInDoubt, type OpenRun, type OpenTimer } from '../run.state';
import { emptyLedger, withUnknown } from '../undo/undo-ledger';

const TYPES = ['RunForked', 'RunRewound', 'RunContinued'] as const satisfies readonly RunEventType[];
export type BranchEventType = (typeof TYPES)[number];

export function isOfBranch(event: RunEvent): event is RunEventOf<BranchEventType> {
  return (TYPES as readonly string[]).includes(event.type);
}

export function evolveBranch(run: OpenRun, event: RunEventOf<BranchEventType>): OpenRun {
  switch (event.type) {
    case 'RunForked':
      return forked(run, event);
    case 'RunRewound':
      return rewound(run, event);
    case 'RunContinued':
      return continued(run, event);
  }
}

/** A run becomes what another one, or itself, was at some revision: all that is carried stands in the fact. */
function forked(run: OpenRun, event: RunEventOf<'RunForked'>): OpenRun {
  if (run.status !== 'queued' || run.epoch > 0 || run.calls.size > 0) throw impossible(run, event);
  const { model, carried } = event.data;
  const request = model === undefined ? run.request : { ...run.request, model };
  return { ...run, request, ...carriedFields(carried) };
}

function rewound(run: OpenRun, event: RunEventOf<'RunRewound'>): OpenRun {
  const { branch, carried, commandId } = event.data;
  if (run.status !== 'paused' || branch !== run.branch + 1) throw impossible(run, event);
  const known = rememberCommand(run, commandId);
  const left = openInDoubt(run);
  const nothingOpen = { calls: new Map(), timers: deadlineOf(run), inbound: [], lostInARow: 0 };
  // It begins to be watched anew; what it has used stays used, and whatever it is held for holds it.
  const guard = { ...newGuard, hold: run.guard.hold };
  return { ...known, ...nothingOpen, guard, branch, undo: withUnknown(run.undo, left), ...carriedFields(carried) };
}

/** What it has done is done: only signals that nobody has read, and what limits the whole run, go on. */
function continued(run: OpenRun, event: RunEventOf<'RunContinued'>): OpenRun {
  const { branch, input } = event.data;
  if (run.status !== 'suspended' || branch !== run.branch + 1) throw impossible(run, event);
  const { unknown } = run.undo;
  const nothingOpen = { calls: new Map(), timers: deadlineOf(run), inbound: [], journal: emptyJournal };
  return { ...run, ...nothingOpen, branch, undo: { ...emptyLedger, unknown }, request: { ...run.request, input } };
}

function carriedFields({ turn, journal, signals }: CarriedState): Pick<OpenRun, 'turn' | 'journal' | 'signals'> {
  return { turn, journal: journalFrom([], journal), signals };
}

/** The limit of the whole run is none of what is taken back. */
function deadlineOf(run: OpenRun): ReadonlyMap<string, OpenTimer> {
  return new Map([...run.timers].filter(([, { purpose }]) => purpose === 'deadline'));
}
