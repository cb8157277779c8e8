import { Terminal, type EventStore, type RecordedEvent } from '@perdure/kernel';
import {
  HISTORY_FACTS_MAX,
  runStream,
  type EffectRecord,
  type Outcome,
  type RunAddress,
  type RunEvent,
  type RunEventOf,
  type ShownSignal,
} from '@perdure/run-contract';
import {
  editedUseOf,
  evolve,
  isOpen,
  noRun,
  type EndedEffect,
  type EndedEffects,
  type EndedRun,
  type OpenRun,
  type RunState,
} from '@perdure/run-domain';
import type { RunCodec } from './run.codec';

/** Facts of one read of the log; a page of the store's own size. */
const PAGE = 500;

/** A run at a moment of its past, and what the log says of everything since. */
export interface Moment {
  /** The last revision that belongs to it. */
  readonly revision: number;
  /** As it was then; of an ended run, as it was when it ended. */
  readonly run: OpenRun;
  readonly ended: EndedRun | undefined;
  /** Effects up to the moment, oldest first. */
  readonly effects: readonly EffectRecord[];
  /** The newest revision of the log. */
  readonly head: number;
  /** Effects that were intended, or came to their end, after the moment. */
  readonly effectsSince: readonly EffectRecord[];
  /** How effects ended after the moment that may not be done again, by call. */
  readonly outcomesSince: EndedEffects;
  readonly signalsSince: readonly ShownSignal[];
  /** What was asked of persons about effects that were open. */
  readonly approvals: ReadonlyMap<string, RunEventOf<'ApprovalRequested'>['data']>;
}

/** Which moment is meant. */
export type When =
  | { readonly at: 'head' }
  | { readonly at: 'revision'; readonly revision: number }
  /** Before the decision that ended the run; the head, if it has not ended. */
  | { readonly at: 'before-end' }
  /** Before the model was asked for a turn. */
  | { readonly at: 'turn'; readonly turn: number };

interface Told {
  readonly event: RunEvent;
  /** Facts of one decision have one cause. */
  readonly cause: string;
}

/**
 * Looks into the past of a run: a fold of its facts, from the first. It reads only, so anyone may look.
 *
 * 1. A decision is whole or not at all: a moment in the middle of one is the moment before it.
 * 2. No snapshot is used: what is told here can be told of any revision.
 */
export class RunHistory {
  constructor(
    private readonly store: EventStore,
    private readonly codec: RunCodec,
  ) {}

  /** @throws Terminal `RunNotFound`, `NoSuchRevision`, `HistoryTooLong` */
  async moment(address: RunAddress, when: When, options: { readonly exact?: boolean } = {}): Promise<Moment> {
    const facts = await this.facts(address);
    const wanted = revisionOf(facts, when);
    const revision = options.exact === true ? wanted : wholeDecision(facts, wanted);
    return momentAt(
      facts.map(({ event }) => event),
      revision,
    );
  }

  /** @returns undefined when there is no such revision */
  async factAt(address: RunAddress, revision: number): Promise<RunEvent | undefined> {
    const [recorded] = await this.store.read(runStream.build(address), { direction: 'forward', from: revision, limit: 1 });
    return recorded === undefined ? undefined : this.codec.decode(address, recorded);
  }

  private async facts(address: RunAddress): Promise<readonly Told[]> {
    const facts: Told[] = [];
    for (;;) {
      const page = await this.store.read(runStream.build(address), { direction: 'forward', from: facts.length, limit: PAGE });
      for (const recorded of page) facts.push({ event: await this.codec.decode(address, recorded), cause: causeOf(recorded) });
      if (facts.length > HISTORY_FACTS_MAX) throw tooLong(address, facts.length);
      if (page.length < PAGE) break;
    }
    if (facts.length === 0) throw notFound(address);
    return facts;
  }
}

function causeOf({ metadata }: RecordedEvent): string {
  return String((metadata as { $causationId?: string } | null)?.$causationId ?? '');
}

function revisionOf(facts: readonly Told[], when: When): number {
  const head = facts.length - 1;
  switch (when.at) {
    case 'head':
      return head;
    case 'revision':
      if (when.revision <= head) return when.revision;
      throw new Terminal('NoSuchRevision', `The run has no revision ${when.revision}: its newest is ${head}.`, {
        details: { head },
      });
    case 'before-end':
      return isEnded(facts) ? Math.max(0, beginningOfEnd(facts) - 1) : head;
    case 'turn': {
      const asked = facts.findLastIndex(({ event }) => event.type === 'ModelCallIntended' && event.data.turn === when.turn);
      if (asked >= 0) return asked;
      throw new Terminal('NoSuchRevision', `The run has no turn ${when.turn}, or is no agent.`, { details: { turn: when.turn } });
    }
  }
}

/** Its terminal fact, or the decision after which it only undid what it had done. */
function beginningOfEnd(facts: readonly Told[]): number {
  const ending = facts.findIndex(({ event }) => event.type === 'RunEnding');
  return ending < 0 ? facts.length - 1 : ending;
}

function isEnded(facts: readonly Told[]): boolean {
  return facts.reduce<RunState>((state, { event }) => evolve(state, event), noRun).status === 'ended';
}

/** The end of the last decision that is whole at `revision`; the first decision is whole in any case. */
function wholeDecision(facts: readonly Told[], revision: number): number {
  const isWhole = (at: number): boolean => facts[at + 1] === undefined || facts[at + 1]?.cause !== facts[at]?.cause;
  for (let at = revision; at >= 0; at -= 1) if (isWhole(at)) return at;
  return facts.findIndex((_, at) => isWhole(at));
}

/** @throws Terminal `NoSuchRevision` */
export function momentAt(facts: readonly RunEvent[], revision: number): Moment {
  let state: RunState = noRun;
  let run: OpenRun | undefined;
  for (const event of facts.slice(0, revision + 1)) {
    state = evolve(state, event);
    if (isOpen(state)) run = state;
  }
  if (run === undefined) throw new Terminal('NoSuchRevision', 'The run had not begun at that revision.');
  const ledger = new Ledger();
  facts.slice(0, revision + 1).forEach((event, at) => ledger.see(event, at));
  const effects = ledger.effects();
  const since = new Map<string, EndedEffect>();
  const signalsSince: ShownSignal[] = [];
  let later = state;
  facts.slice(revision + 1).forEach((event, index) => {
    const at = revision + 1 + index;
    const ended = ledger.see(event, at);
    if (ended !== undefined) since.set(ended.call, { outcome: ended.outcome, ...editedIn(later, ended.call) });
    if (event.type === 'SignalReceived') signalsSince.push({ revision: at, name: event.data.name, payload: event.data.payload });
    later = evolve(later, event);
  });
  return {
    revision,
    run,
    ended: state.status === 'ended' ? state : undefined,
    effects,
    head: facts.length - 1,
    effectsSince: ledger
      .effects()
      .filter((effect) => effect.intendedAtRevision > revision || (effect.endedAtRevision ?? 0) > revision),
    outcomesSince: endedSince(run, since),
    signalsSince,
    approvals: askedIn(run, facts.slice(0, revision + 1)),
  };
}

function editedIn(run: RunState, call: string): Pick<EndedEffect, 'edited'> {
  const open = isOpen(run) ? run.calls.get(call) : undefined;
  return open?.kind === 'tool' ? editedUseOf(open) : {};
}

/** Of those that were open: what may be done again is done again. */
function endedSince(run: OpenRun, since: EndedEffects): EndedEffects {
  const kept = new Map<string, EndedEffect>();
  for (const open of run.calls.values()) {
    const ended = since.get(open.call);
    if (open.kind === 'tool' && open.effectClass !== 'pure' && ended !== undefined) kept.set(open.call, ended);
  }
  return kept;
}

function askedIn(run: OpenRun, facts: readonly RunEvent[]): Moment['approvals'] {
  const asked = new Map<string, RunEventOf<'ApprovalRequested'>['data']>();
  for (const event of facts) {
    const open = event.type === 'ApprovalRequested' ? run.calls.get(event.data.call) : undefined;
    if (event.type === 'ApprovalRequested' && open?.kind === 'tool' && open.approval !== undefined)
      asked.set(open.call, event.data);
  }
  return asked;
}

/** Every effect that the facts tell of, in the order of its intention. */
class Ledger {
  private readonly known: EffectRecord[] = [];
  private readonly open = new Map<string, number>();
  private branch = 0;

  effects(): readonly EffectRecord[] {
    return [...this.known];
  }

  /** @returns the end of an effect, if the fact is one */
  see(event: RunEvent, revision: number): { readonly call: string; readonly outcome: Outcome } | undefined {
    if (event.type === 'RunRewound' || event.type === 'RunContinued') {
      this.branch = event.data.branch;
      this.open.clear();
    }
    if (event.type === 'EffectIntended') {
      const { call, tool, effectClass, compensation } = event.data;
      this.open.set(call, this.known.length);
      const isUndoable = compensation !== undefined;
      const effect = {
        call,
        branch: this.branch,
        tool,
        effectClass,
        status: 'open',
        intendedAtRevision: revision,
        isUndoable,
      } as const;
      this.known.push(effect);
    }
    if (event.type === 'EffectUnknown') this.change(event.data.call, { status: 'unknown' });
    if (event.type === 'EffectReconciled' && event.data.verdict === 'absent') this.change(event.data.call, { status: 'open' });
    return this.end(event, revision);
  }

  private end(event: RunEvent, revision: number): { readonly call: string; readonly outcome: Outcome } | undefined {
    if (event.type === 'EffectConfirmed') {
      const { call, result } = event.data;
      this.change(call, { status: 'confirmed', endedAtRevision: revision });
      return { call, outcome: { ok: true, value: result } };
    }
    if (event.type !== 'EffectFailed' || event.data.retryAtMs !== undefined) return undefined;
    const { call, error } = event.data;
    this.change(call, { status: 'failed', endedAtRevision: revision, isUndoable: false });
    return { call, outcome: { ok: false, error } };
  }

  private change(call: string, to: Partial<EffectRecord>): void {
    const index = this.open.get(call);
    const effect = index === undefined ? undefined : this.known[index];
    if (index !== undefined && effect !== undefined) this.known[index] = { ...effect, ...to };
  }
}

function tooLong({ runId }: RunAddress, facts: number): Terminal {
  const message = `The run ${runId} has more than ${HISTORY_FACTS_MAX} facts: too many to fold from the first for a look at its past.`;
  return new Terminal('HistoryTooLong', message, { details: { facts } });
}

function notFound({ runId, tenant }: RunAddress): Terminal {
  return new Terminal('RunNotFound', `There is no run ${runId} of tenant ${tenant}. Check the id and the tenant.`);
}
