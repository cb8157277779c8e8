import type { ModelCallFact, TokenDelta, TokenPlace } from '@perdure/run-contract';
import { cursorText, type TokenCursor } from './token-cursor';

/** What a reader of tokens shows: in this order, each once. */
export type TokenEvent = {
  /** Where to go on after this event: here, in another process, tomorrow. */
  readonly id: string;
} & (
  | ({ readonly type: 'text' } & TokenDelta)
  /** What was shown of this call is void. What counts is told from the beginning, of this attempt or a later one. */
  | { readonly type: 'reset'; readonly call: string; readonly epoch: number; readonly attempt: number }
  /** What was shown of this call is what the log says of it: so many characters, at this revision. */
  | ({ readonly type: 'completed'; readonly revision: number } & TokenPlace)
  /** The run was rewound: what was shown of open calls, and of those completed after revision `to`, is void. */
  | { readonly type: 'rewound'; readonly to: number }
);

type Told = TokenEvent extends infer E ? (E extends TokenEvent ? Omit<E, 'id'> : never) : never;

/**
 * Makes one story of what the log says of model calls and of what is told of them meanwhile.
 *
 * 1. A call is open from the fact that it began to the fact that it ended. Deltas fill open calls and do nothing else: one that
 *    is late finds nothing to fill.
 * 2. A delta is of the epoch that the log has assigned last, or it is too late, or too early.
 * 3. Of an open call one attempt is shown, never an earlier one after a later, and its text without gap from the beginning.
 * 4. What was shown and does not count is reset before anything else is shown of that call.
 * 5. Only the log completes. What an attempt has told is a beginning of what the log says of that very attempt, so the rest is
 *    shown; of another attempt, all of it is.
 */
export class TokenMerge {
  private revision: number;
  private readonly open: Map<string, TokenPlace>;
  private missed: boolean;
  private epoch: number;

  constructor(cursor: TokenCursor) {
    this.revision = cursor.revision;
    this.epoch = cursor.epoch;
    this.open = new Map(cursor.open.map((place) => [place.call, place]));
    this.missed = this.open.size > 0;
  }

  /** The next fact to be read. */
  get next(): number {
    return this.revision;
  }

  get places(): readonly TokenPlace[] {
    return [...this.open.values()];
  }

  /** There may be text of an open call that has not come, and will not come by itself. */
  get isBehind(): boolean {
    return this.missed && this.open.size > 0;
  }

  /** Whatever was missed is asked for now. */
  caughtUp(): void {
    this.missed = false;
  }

  fallBehind(): void {
    this.missed = true;
  }

  *takeDelta(delta: TokenDelta): Generator<TokenEvent> {
    if (delta.epoch < this.epoch) return;
    const place = this.open.get(delta.call);
    if (place === undefined || delta.epoch > this.epoch) {
      // It rests on facts that have not been read.
      this.missed = true;
      return;
    }
    if (isBefore(delta, place)) return;
    if (isBefore(place, delta)) yield* this.restart(delta);
    const { offset } = this.placeOf(delta);
    if (delta.offset > offset) this.missed = true;
    else yield* this.show({ ...delta, offset, text: delta.text.slice(offset - delta.offset) });
  }

  *takeFact(fact: ModelCallFact): Generator<TokenEvent> {
    if (fact.revision < this.revision) return;
    this.revision = fact.revision;
    switch (fact.type) {
      case 'assigned':
        this.epoch = fact.epoch;
        for (const place of this.places) yield* this.giveUp({ ...place, epoch: fact.epoch });
        break;
      case 'began':
        this.open.set(fact.call, { call: fact.call, epoch: this.epoch, attempt: 0, offset: 0 });
        // Its worker may have been quicker than the log.
        this.missed = true;
        break;
      case 'completed':
        return yield* this.complete(fact);
      case 'failed':
        yield* this.giveUp({ ...fact, attempt: fact.attempt + 1 });
        if (fact.final) this.open.delete(fact.call);
        break;
      case 'rewound':
        this.open.clear();
        // Whatever held the run has let go of it.
        this.epoch += 1;
        this.revision += 1;
        return yield this.event({ type: 'rewound', to: fact.to });
    }
    this.revision += 1;
  }

  /** All facts before it are taken. */
  readTo(revision: number): void {
    this.revision = Math.max(this.revision, revision);
  }

  /** The run has ended: what is still open was never recorded. */
  *end(): Generator<TokenEvent> {
    for (const place of this.places) {
      yield* this.restart({ ...place, attempt: place.attempt + 1 });
      this.open.delete(place.call);
    }
  }

  private *complete({
    call,
    epoch,
    attempt,
    text,
    revision,
  }: Extract<ModelCallFact, { type: 'completed' }>): Generator<TokenEvent> {
    const place = this.open.get(call);
    const isOfThis = place?.epoch === epoch && place.attempt === attempt && place.offset <= text.length;
    // Of a call that is not known to be open nobody knows here what was shown.
    if (place === undefined) yield this.opened({ call, epoch, attempt, offset: 0 });
    else if (!isOfThis) yield* this.restart({ call, epoch, attempt });
    const { offset } = this.placeOf({ call, epoch, attempt });
    yield* this.show({ call, epoch, attempt, offset, text: text.slice(offset) });
    this.open.delete(call);
    this.revision += 1;
    yield this.event({ type: 'completed', call, epoch, attempt, offset: text.length, revision });
  }

  /** A delta of a later attempt may have been quicker than the fact that ends this one. */
  private *giveUp(next: Omit<TokenPlace, 'offset'>): Generator<TokenEvent> {
    const place = this.open.get(next.call);
    if (place !== undefined && isBefore(place, next)) yield* this.restart(next);
  }

  private opened(place: TokenPlace): TokenEvent {
    this.open.set(place.call, place);
    const { call, epoch, attempt } = place;
    return this.event({ type: 'reset', call, epoch, attempt });
  }

  /** From here on this attempt, or a later one, is shown of the call. */
  private *restart({ call, epoch, attempt }: Omit<TokenPlace, 'offset'>): Generator<TokenEvent> {
    const shown = this.open.get(call)?.offset ?? 0;
    this.open.set(call, { call, epoch, attempt, offset: 0 });
    if (shown > 0) yield this.event({ type: 'reset', call, epoch, attempt });
  }

  private *show(delta: TokenDelta): Generator<TokenEvent> {
    if (delta.text === '') return;
    const { call, epoch, attempt, offset, text } = delta;
    this.open.set(call, { call, epoch, attempt, offset: offset + text.length });
    yield this.event({ type: 'text', call, epoch, attempt, offset, text });
  }

  private placeOf({ call, epoch, attempt }: Omit<TokenPlace, 'offset'>): TokenPlace {
    return this.open.get(call) ?? { call, epoch, attempt, offset: 0 };
  }

  private event(told: Told): TokenEvent {
    return { id: cursorText({ revision: this.revision, epoch: this.epoch, open: this.places }), ...told } as TokenEvent;
  }
}

/** Attempts of one call, in their order. */
function isBefore(one: Omit<TokenPlace, 'offset'>, other: Omit<TokenPlace, 'offset'>): boolean {
  return one.epoch < other.epoch || (one.epoch === other.epoch && one.attempt < other.attempt);
}
