import { errorRecordOf, PerdureError, type Bus, type Host } from '@perdure/kernel';
import {
  DELTA_CHARS_MAX,
  DELTAS_MAX,
  modelCallPage,
  PLACES_MAX,
  requestSubject,
  tokenMessage,
  tokenRequestSubject,
  tokensAnswer,
  tokenSubject,
  type CommandEnvelopeInput,
  type ModelCallPage,
  type RunAddress,
  type TokenDelta,
} from '@perdure/run-contract';
import { ask, WITHDRAWN } from '../engine/ask';
import { BEGINNING, parseCursor } from './token-cursor';
import { TokenMerge, type TokenEvent } from './token-merge';

/** The owner answers when the log says more, or after this: long enough to be cheap, short enough to notice a lost owner. */
const HOLD_MS = 2_000;
const PAGE_TIMEOUT_MS = HOLD_MS + 1_000;
const MISSED_TIMEOUT_MS = 1_000;
/** Characters kept for a reader that is slow, twice what an answer may hold; beyond it they are dropped, and asked for when it comes to them. */
const WAITING_CHARS_MAX = 2 * DELTAS_MAX * DELTA_CHARS_MAX;

export interface TokensOptions {
  /** The id of the last event that was got; by default everything is told from the beginning. */
  readonly after?: string;
  /** Ends the reading. */
  readonly signal?: AbortSignal;
}

export interface TokenPorts {
  readonly bus: Bus;
  readonly host: Host;
}

/**
 * Reads the text of a run's model calls as it comes, until the run ends.
 *
 * 1. The owner is asked for facts, one question at a time, and answers when there are any.
 * 2. Deltas are only listened to. What is missing of an open call is asked of its worker, one question at a time; if nobody answers,
 *    the log will have it.
 * 3. Nothing is kept for a reader that is slow, beyond a bound: everything can be asked for again.
 */
export class TokenReader {
  private readonly merge: TokenMerge;
  private deltas: TokenDelta[] = [];
  private chars = 0;
  private page: ModelCallPage | undefined;
  private failure: PerdureError | undefined;
  private isAskingFacts = false;
  private isAskingMissed = false;
  private isOver = false;
  private wake: () => void = () => undefined;

  constructor(
    private readonly ports: TokenPorts,
    private readonly address: RunAddress,
    private readonly options: TokensOptions = {},
  ) {
    this.merge = new TokenMerge(options.after === undefined ? BEGINNING : parseCursor(options.after));
  }

  /** @throws Terminal `RunNotFound` */
  async *read(): AsyncGenerator<TokenEvent, void, undefined> {
    const { bus } = this.ports;
    const { signal } = this.options;
    const listening = [
      bus.subscribe(tokenSubject.build(this.address), ({ payload }) => this.hear(payload)),
      bus.onReconnect(() => this.fallBehind()),
    ];
    const stop = (): void => this.wake();
    signal?.addEventListener('abort', stop);
    try {
      while (signal?.aborted !== true) {
        if (this.failure !== undefined) throw this.failure;
        const { page } = this;
        yield* this.next();
        if (page?.ended === true) return;
        this.askFacts();
        this.askMissed();
        await this.news();
      }
    } finally {
      this.isOver = true;
      signal?.removeEventListener('abort', stop);
      await Promise.all(listening.map((subscription) => subscription.close()));
    }
  }

  /** What has come since, facts first: they say which deltas count. */
  private *next(): Generator<TokenEvent> {
    const { page, deltas } = this;
    this.page = undefined;
    this.deltas = [];
    this.chars = 0;
    for (const fact of page?.facts ?? []) yield* this.merge.takeFact(fact);
    if (page !== undefined) this.merge.readTo(page.next);
    for (const delta of deltas) yield* this.merge.takeDelta(delta);
    if (page?.ended === true) yield* this.merge.end();
  }

  private news(): Promise<void> {
    if (this.page !== undefined || this.deltas.length > 0 || this.failure !== undefined) return Promise.resolve();
    if (this.options.signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => (this.wake = resolve));
  }

  private hear(payload: string): void {
    this.keep([tokenMessage.parse(JSON.parse(payload))]);
  }

  private keep(deltas: readonly TokenDelta[]): void {
    for (const delta of deltas) {
      this.deltas.push(delta);
      this.chars += delta.text.length;
    }
    if (this.chars > WAITING_CHARS_MAX) this.fallBehind();
    this.wake();
  }

  private fallBehind(): void {
    this.deltas = [];
    this.chars = 0;
    this.merge.fallBehind();
    this.wake();
  }

  private askFacts(): void {
    if (this.isAskingFacts || this.page !== undefined) return;
    this.isAskingFacts = true;
    void this.facts()
      .then((page) => (this.page = page))
      .catch((error: unknown) => {
        this.failure = error instanceof PerdureError ? error : PerdureError.fromRecord(errorRecordOf(error));
      })
      .finally(() => {
        this.isAskingFacts = false;
        this.wake();
      });
  }

  private async facts(): Promise<ModelCallPage | undefined> {
    const { host } = this.ports;
    const command = { type: 'GetModelCalls' as const, from: this.merge.next, holdMs: HOLD_MS };
    const envelope: CommandEnvelopeInput = { v: 1, id: host.entropy.uuid(), actor: { kind: 'user', id: 'reader' }, command };
    const answered = await ask(this.ports, {
      subject: requestSubject.build(this.address),
      payload: JSON.stringify(envelope),
      timeoutMs: PAGE_TIMEOUT_MS,
      withdrawn: () => this.isOver,
    });
    return answered === WITHDRAWN ? undefined : modelCallPage.parse(answered);
  }

  private askMissed(): void {
    if (this.isAskingMissed || !this.merge.isBehind) return;
    this.isAskingMissed = true;
    this.merge.caughtUp();
    void this.missed()
      // Nobody has it: the call has not begun to speak, its worker is lost, or it is over.
      .catch(() => undefined)
      .finally(() => {
        this.isAskingMissed = false;
        this.wake();
      });
  }

  private async missed(): Promise<void> {
    const have = this.merge.places.slice(0, PLACES_MAX);
    const payload = JSON.stringify({ v: 1, have });
    const timeoutMs = MISSED_TIMEOUT_MS;
    const text = await this.ports.bus.request(tokenRequestSubject.build(this.address), payload, { timeoutMs });
    const { deltas, more } = tokensAnswer.parse(JSON.parse(text));
    this.keep(deltas);
    if (more) this.merge.fallBehind();
  }
}
