import type { Bus, Cancel, Host, Subscription } from '@perdure/kernel';
import {
  DELTA_CHARS_MAX,
  DELTAS_MAX,
  tokenRequestSubject,
  tokensAsked,
  tokenSubject,
  type RunAddress,
  type TokenDelta,
  type TokenPlace,
  type TokensAnswer,
} from '@perdure/run-contract';
import { DELTA_DELAY_MS } from './bounds';

/**
 * Tells whoever listens the text of model calls, while they are under way here.
 *
 * 1. Telling costs the call nothing: one message without an answer for what has come in DELTA_DELAY_MS. Nobody need listen.
 * 2. What is told may be lost. Who has missed something asks, and is answered from the text so far, which is kept while the call
 *    is under way and no longer: of an attempt that is over, only the log knows anything that counts.
 * 3. No delta ends in the middle of a character.
 */
export class ToldText {
  private readonly underWay = new Map<string, AttemptText>();
  private listening: Subscription | undefined;

  constructor(
    private readonly ports: { readonly host: Pick<Host, 'timers' | 'clock'>; readonly bus: Bus },
    private readonly address: RunAddress,
  ) {}

  begin(attempt: Omit<TokenPlace, 'offset'>): AttemptText {
    const { bus } = this.ports;
    this.underWay.get(attempt.call)?.end();
    const text = new AttemptText(attempt, {
      ...this.ports,
      tell: (delta) => this.publish(delta),
      onEnd: () => this.forget(attempt.call, text),
    });
    this.underWay.set(attempt.call, text);
    this.listening ??= bus.subscribe(tokenRequestSubject.build(this.address), (message) => {
      const asked = tokensAsked.parse(JSON.parse(message.payload));
      message.respond(JSON.stringify(this.missedBy(asked.have)));
    });
    return text;
  }

  /** The activation has ended. */
  stop(): void {
    for (const text of [...this.underWay.values()]) text.end();
  }

  private publish(delta: TokenDelta): void {
    try {
      this.ports.bus.publish(tokenSubject.build(this.address), JSON.stringify({ v: 1, ...delta }));
    } catch {
      // As lost as any other that does not arrive: the call goes on without its listeners.
    }
  }

  private missedBy(have: readonly TokenPlace[]): TokensAnswer {
    const missed = [...this.underWay.values()].flatMap((text) => text.after(have.find(({ call }) => call === text.attempt.call)));
    return { v: 1, deltas: missed.slice(0, DELTAS_MAX), more: missed.length > DELTAS_MAX };
  }

  private forget(call: string, text: AttemptText): void {
    if (this.underWay.get(call) === text) this.underWay.delete(call);
    if (this.underWay.size > 0) return;
    void this.listening?.close();
    this.listening = undefined;
  }
}

interface TellingPorts {
  readonly host: Pick<Host, 'timers' | 'clock'>;
  tell(delta: TokenDelta): void;
  onEnd(): void;
}

/** The text of one attempt so far. */
export class AttemptText {
  private text = '';
  private told = 0;
  private toldAtMs = Number.NEGATIVE_INFINITY;
  private cancelDelay: Cancel | undefined;
  private isOver = false;

  constructor(
    readonly attempt: Omit<TokenPlace, 'offset'>,
    private readonly ports: TellingPorts,
  ) {}

  /** The first piece goes out at once: it is the one that somebody waits for. */
  add(piece: string): void {
    if (this.isOver) return;
    this.text += piece;
    const sinceMs = this.ports.host.clock.monotonicMs() - this.toldAtMs;
    if (sinceMs >= DELTA_DELAY_MS || this.text.length - this.told >= DELTA_CHARS_MAX) this.tell();
    else this.cancelDelay ??= this.ports.host.timers.after(DELTA_DELAY_MS - sinceMs, () => this.tell());
  }

  /** What is not told yet is; then the log has the word. */
  end(): void {
    if (this.isOver) return;
    this.tell();
    this.isOver = true;
    this.ports.onEnd();
  }

  /** What was told, and who has got as far as `place` has not. */
  after(place: TokenPlace | undefined): TokenDelta[] {
    const { epoch, attempt } = this.attempt;
    const isOfThis = place?.epoch === epoch && place.attempt === attempt;
    return this.cut(isOfThis ? place.offset : 0, this.told);
  }

  private tell(): void {
    this.cancelDelay?.();
    this.cancelDelay = undefined;
    this.toldAtMs = this.ports.host.clock.monotonicMs();
    for (const delta of this.cut(this.told, this.text.length)) {
      this.ports.tell(delta);
      this.told = delta.offset + delta.text.length;
    }
  }

  private cut(from: number, to: number): TokenDelta[] {
    const deltas: TokenDelta[] = [];
    for (let offset = from; offset < to;) {
      const end = wholeCharacter(this.text, Math.min(to, offset + DELTA_CHARS_MAX));
      if (end <= offset) break;
      deltas.push({ ...this.attempt, offset, text: this.text.slice(offset, end) });
      offset = end;
    }
    return deltas;
  }
}

/** The other half of a character may come with the next piece. */
function wholeCharacter(text: string, end: number): number {
  const last = text.charCodeAt(end - 1);
  return last >= 0xd800 && last <= 0xdbff ? end - 1 : end;
}
