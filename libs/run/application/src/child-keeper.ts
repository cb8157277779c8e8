import { delay, InvariantViolated, PerdureError, type ErrorRecord, type Host } from '@perdure/kernel';
import {
  answer,
  runAddress,
  runView,
  type Outcome,
  type ParentOfRun,
  type RunAddress,
  type RunEvent,
  type RunView,
} from '@perdure/run-contract';
import { isOpen, type EndChild, type NoteChildStarted, type OpenChild, type RunState } from '@perdure/run-domain';
import { keyOf } from './activation-keeper';
import { ChildIndex, type KnownChild } from './child-index';

/**
 * Keeps the promises about children: starts what a run has asked for, brings it the end, and cancels what nobody wants.
 *
 * 1. A child is asked for until it exists; its id follows from who asked, so that asking again changes nothing.
 * 2. What is to be cancelled is started first: whoever asked for it before may have been heard.
 * 3. What is known of a child here is a hint; what counts is what its owner answers.
 */

/** Of one run, started and not ended: others wait, so that a thousand children do not flood a pool. */
const CHILDREN_AT_ONCE = 100;
const REPEAT_FIRST_MS = 50;
const REPEAT_MAX_MS = 2_000;

export interface ChildPorts {
  readonly host: Host;
  owns(address: RunAddress): boolean;
  /** A request to the owner of a run, wherever it is. @returns JSON of an answer */
  ask(address: RunAddress, request: string): Promise<string>;
  decide(address: RunAddress, command: EndChild | NoteChildStarted): Promise<void>;
  stateOf(address: RunAddress): Promise<RunState>;
  /** A fact of a run that its state does not tell any more. */
  factAt(address: RunAddress, revision: number): Promise<RunEvent | undefined>;
}

type Order = Pick<OpenChild, 'name' | 'input' | 'pool' | 'deadlineMs' | 'limits'>;

export class ChildKeeper {
  /** To be driven by the log follower of the process. */
  readonly index: ChildIndex;
  /** Children that are looked after now; `again`: something has happened to them meanwhile. */
  private readonly tended = new Map<KnownChild, { again: boolean }>();
  private stopped = false;

  constructor(private readonly ports: ChildPorts) {
    this.index = new ChildIndex({
      onRequested: ({ parent }) => this.lookAt(parent),
      onEnded: (known) => this.tend(known),
      onOrphaned: (known) => this.tend(known),
      onCaughtUp: () => this.resumeAll(() => true),
    });
  }

  stop(): void {
    this.stopped = true;
  }

  /** After each append, and each load, of a run that is owned here. */
  keep(parent: RunAddress, state: RunState): void {
    if (!isOpen(state)) return;
    let room = CHILDREN_AT_ONCE;
    for (const call of state.calls.values()) {
      if (call.kind !== 'child') continue;
      const known = this.index.find(runAddress(parent.tenant, call.child));
      if (known === undefined || known.ended) continue;
      const isToBegin = room > 0 && (!known.begun || call.isDetached);
      if (isToBegin || isUnwanted(known, state)) this.tend(known);
      room -= 1;
    }
  }

  /** Takes up what the children of these runs demand. */
  resumeAll(isOf: (parent: RunAddress) => boolean): void {
    if (!this.index.complete) return;
    const parents = new Map<string, RunAddress>();
    for (const known of this.index.all()) {
      if (!isOf(known.parent)) continue;
      if (known.orphaned || known.ended) this.tend(known);
      else parents.set(keyOf(known.parent), known.parent);
    }
    for (const parent of parents.values()) this.lookAt(parent);
  }

  private lookAt(parent: RunAddress): void {
    if (!this.ports.owns(parent)) return;
    void this.ports.stateOf(parent).then(
      (state) => this.keep(parent, state),
      (error: unknown) => this.warn('children not looked at', parent, error),
    );
  }

  /** One thing at a time for each child, repeated until there is nothing to do. */
  private tend(known: KnownChild): void {
    const present = this.tended.get(known);
    if (present !== undefined) {
      present.again = true;
      return;
    }
    const tending = { again: false };
    this.tended.set(known, tending);
    void this.repeat(known, tending).finally(() => this.tended.delete(known));
  }

  private async repeat(known: KnownChild, tending: { again: boolean }): Promise<void> {
    let waitMs = REPEAT_FIRST_MS;
    while (!this.stopped && this.ports.owns(known.parent)) {
      tending.again = false;
      const isDone = await this.advance(known).catch((error: unknown) => {
        this.warn('a child was not looked after', known.child, error);
        return false;
      });
      if (isDone && !tending.again) return;
      if (isDone) continue;
      await delay(this.ports.host, waitMs);
      waitMs = Math.min(2 * waitMs, REPEAT_MAX_MS);
    }
  }

  /** @returns whether nothing is left to do until something happens */
  private async advance(known: KnownChild): Promise<boolean> {
    const { parent, call, child } = known;
    const state = await this.ports.stateOf(parent);
    const open = isOpen(state) ? state.calls.get(call) : undefined;
    const waiting = open?.kind === 'child' && open.child === child.runId ? open : undefined;
    const of = { call, child: child.runId };
    if (!known.begun) {
      const error = await this.begin(known, state, waiting);
      if (error === 'again') return false;
      if (error !== undefined) {
        if (waiting === undefined) this.index.forget(known);
        else await this.ports.decide(parent, { type: 'EndChild', ...of, outcome: { ok: false, error } });
        return true;
      }
    }
    if (waiting?.isDetached === true) await this.ports.decide(parent, { type: 'NoteChildStarted', ...of });
    else if (known.ended && waiting !== undefined) return this.bringEnd(known);
    return known.ended || !isUnwanted(known, state) || this.cancel(known);
  }

  /** @returns why it is refused for good, if it is */
  private async begin(
    known: KnownChild,
    state: RunState,
    open: OpenChild | undefined,
  ): Promise<ErrorRecord | 'again' | undefined> {
    const { name, input, pool, deadlineMs, limits } = open ?? (await this.orderOf(known));
    const parent: ParentOfRun = { runId: known.parent.runId, call: known.call };
    const requestedBy = state.status === 'none' ? undefined : state.request.requestedBy;
    const reply = await this.ask(known.child, { type: 'StartRun', name, input, pool, deadlineMs, limits, parent }, requestedBy);
    if (reply === undefined) return 'again';
    if (!reply.ok) return reply.error.reaction === 'retryable' ? 'again' : reply.error;
    known.begun = true;
    return undefined;
  }

  /** Its parent does not tell any more. */
  private async orderOf({ parent, revision }: KnownChild): Promise<Order> {
    const fact = await this.ports.factAt(parent, revision);
    if (fact?.type === 'ChildRequested') return fact.data;
    throw new InvariantViolated(`Revision ${revision} of ${parent.runId} asks for no child.`);
  }

  private async bringEnd({ parent, call, child }: KnownChild): Promise<boolean> {
    const reply = await this.ask(child, { type: 'GetRun' }, undefined);
    const view = reply?.ok === true ? runView.parse(reply.value) : undefined;
    if (view?.outcome === undefined) return false;
    await this.ports.decide(parent, { type: 'EndChild', call, child: child.runId, ...endOf(view, view.outcome) });
    return true;
  }

  /** @returns whether its owner has heard of it */
  private async cancel(known: KnownChild): Promise<boolean> {
    const reason = known.orphaned ? 'its parent has ended' : 'its parent is cancelled';
    const reply = await this.ask(known.child, { type: 'CancelRun', reason }, undefined);
    known.cancelled = reply !== undefined && (reply.ok || reply.error.reaction !== 'retryable');
    return known.cancelled;
  }

  /** @returns undefined when nobody answered */
  private async ask(address: RunAddress, command: object, by: string | undefined): Promise<Reply | undefined> {
    const actor = by === undefined ? { kind: 'service', id: 'orchestrator' } : { kind: 'user', id: by };
    const request = JSON.stringify({ v: 1, id: this.ports.host.entropy.uuid(), actor, command });
    try {
      return answer.parse(JSON.parse(await this.ports.ask(address, request))) as Reply;
    } catch (error) {
      if (!(error instanceof PerdureError)) this.warn('a child was not asked', address, error);
      return undefined;
    }
  }

  private warn(what: string, address: RunAddress, error: unknown): void {
    this.ports.host.log.warn(what, { ...address, reason: String(error) });
  }
}

/** Of a call that nobody waits for: its parent has ended, was taken back to before it, or is cancelled. */
function isUnwanted({ orphaned, cancelled, parentClose }: KnownChild, state: RunState): boolean {
  return !cancelled && parentClose !== 'abandon' && (orphaned || !isOpen(state) || state.cancel !== undefined);
}

type Reply = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: ErrorRecord };

/** What the code of the parent is given. */
function endOf(view: RunView, ended: NonNullable<RunView['outcome']>): Pick<EndChild, 'outcome' | 'spent'> {
  const spent = view.spentByTree ?? view.spent;
  return { outcome: outcomeOf(view, ended), ...(spent === undefined ? {} : { spent }) };
}

function outcomeOf({ runId, name }: RunView, ended: NonNullable<RunView['outcome']>): Outcome {
  const of = `The child ${name} (${runId})`;
  switch (ended.status) {
    case 'completed':
      return { ok: true, value: ended.output };
    case 'failed': {
      const { error } = ended;
      return { ok: false, error: { ...error, reaction: 'terminal', details: { ...error.details, child: runId } } };
    }
    case 'cancelled':
      return failure('ChildCancelled', `${of} was cancelled: ${ended.reason}`, runId);
    case 'timed-out':
      return failure('ChildTimedOut', `${of} did not end in the time that it had.`, runId);
    case 'terminated':
      return failure('ChildTerminated', `${of} was terminated: ${ended.reason}`, runId);
    case 'refused':
      return failure(ended.code, `${of} was refused: ${ended.message}`, runId);
  }
}

function failure(code: string, message: string, child: string): Outcome {
  return { ok: false, error: { code, message, reaction: 'terminal', details: { child } } };
}
