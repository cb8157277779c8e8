import type { ModelCallFact, TokenDelta } from '@perdure/run-contract';
import type { TokenEvent } from './token-merge';

type Said = { readonly fact: ModelCallFact } | { readonly delta: TokenDelta };

/** A run as it really goes: its model calls, their attempts, crashes and rewinds, as `choose` has it. */
export class StoryOfCalls {
  /** Facts and deltas in the order in which they came to be. */
  readonly said: Said[] = [];
  private readonly open = new Map<string, { attempt: number; text: string }>();
  private recordedAt = new Map<string, { revision: number; text: string }>();
  private openAt: string[][] = [];
  private epoch = 0;
  private calls = 0;
  private words = 0;

  constructor(private readonly choose: (below: number) => number) {
    this.assign();
  }

  goOn(): void {
    const open = [...this.open.keys()];
    const call = open[this.choose(Math.max(1, open.length))];
    const what = this.choose(12);
    if (call === undefined || what === 0) this.begin();
    else if (what <= 6) this.speak(call);
    else if (what <= 8) this.complete(call);
    else if (what === 9) this.fail(call, this.choose(3) === 0);
    else if (what === 10) this.crash();
    else this.rewind();
  }

  /** What the log says at last. */
  get recorded(): ReadonlyMap<string, string> {
    return new Map([...this.recordedAt].map(([call, { text }]) => [call, text]));
  }

  /** What the worker answers who has missed something, if it is still there when it is asked. */
  get underWay(): readonly TokenDelta[] {
    return [...this.open].flatMap(([call, { attempt, text }]) =>
      text === '' ? [] : [{ call, epoch: this.epoch, attempt, offset: 0, text }],
    );
  }

  private begin(): void {
    this.calls += 1;
    this.intend(`t${this.calls}`);
  }

  private intend(call: string): void {
    this.open.set(call, { attempt: 1, text: '' });
    this.tell({ type: 'began', call });
  }

  private speak(call: string): void {
    const { attempt, text } = this.attemptOf(call);
    // Never twice the same, so that what is doubled or of another attempt cannot pass for what is right.
    const more = `w${(this.words += 1)} `;
    this.said.push({ delta: { call, epoch: this.epoch, attempt, offset: text.length, text: more } });
    this.open.set(call, { attempt, text: text + more });
  }

  private complete(call: string): void {
    const { attempt, text } = this.attemptOf(call);
    this.open.delete(call);
    this.recordedAt.set(call, { revision: this.openAt.length, text });
    this.tell({ type: 'completed', call, epoch: this.epoch, attempt, text });
  }

  private fail(call: string, final: boolean): void {
    const { attempt } = this.attemptOf(call);
    if (final) this.open.delete(call);
    else this.open.set(call, { attempt: attempt + 1, text: '' });
    this.tell({ type: 'failed', call, epoch: this.epoch, attempt, final });
  }

  private crash(): void {
    for (const [call, { attempt }] of this.open) this.open.set(call, { attempt, text: '' });
    this.assign();
  }

  private assign(): void {
    this.epoch += 1;
    this.tell({ type: 'assigned', epoch: this.epoch });
  }

  private rewind(): void {
    const to = this.choose(this.openAt.length);
    this.open.clear();
    this.recordedAt = new Map([...this.recordedAt].filter(([, { revision }]) => revision <= to));
    this.tell({ type: 'rewound', to });
    for (const call of this.openAt[to] ?? []) this.intend(call);
    this.assign();
  }

  private attemptOf(call: string): { attempt: number; text: string } {
    return this.open.get(call) ?? { attempt: 1, text: '' };
  }

  private tell(fact: ModelCallFact extends infer F ? (F extends ModelCallFact ? Omit<F, 'revision'> : never) : never): void {
    this.said.push({ fact: { ...fact, revision: this.openAt.length } });
    this.openAt.push([...this.open.keys()]);
  }
}

/** What somebody sees who does as the events say. */
export class Screen {
  readonly shown = new Map<string, string>();
  private readonly completedAt = new Map<string, number>();
  private readonly attempts = new Map<string, readonly [epoch: number, attempt: number]>();

  /** @throws Error when something would be doubled, or a piece be missing */
  show(event: TokenEvent): void {
    switch (event.type) {
      case 'text': {
        const before = this.shown.get(event.call) ?? '';
        if (event.offset !== before.length)
          throw new Error(`${event.call} has ${before.length}, and is told from ${event.offset}`);
        this.see(event, { isFirst: before === '' });
        this.shown.set(event.call, before + event.text);
        break;
      }
      case 'reset':
        this.forget(event.call);
        break;
      case 'completed': {
        const before = this.shown.get(event.call) ?? '';
        if (event.offset !== before.length)
          throw new Error(`${event.call} is complete with ${event.offset}, not ${before.length}`);
        this.shown.set(event.call, before);
        this.completedAt.set(event.call, event.revision);
        break;
      }
      case 'rewound':
        for (const call of [...this.shown.keys()])
          if ((this.completedAt.get(call) ?? Number.POSITIVE_INFINITY) > event.to) this.forget(call);
    }
  }

  /** Never an earlier attempt after a later one, and never two on top of each other. */
  private see({ call, epoch, attempt }: TokenDelta, { isFirst }: { readonly isFirst: boolean }): void {
    const [lastEpoch, lastAttempt] = this.attempts.get(call) ?? [0, 0];
    const order = epoch - lastEpoch || attempt - lastAttempt;
    if (order < 0 || (order > 0 && !isFirst))
      throw new Error(`${call}: attempt ${epoch}.${attempt} is told after ${lastEpoch}.${lastAttempt}`);
    this.attempts.set(call, [epoch, attempt]);
  }

  private forget(call: string): void {
    this.shown.delete(call);
    this.completedAt.delete(call);
  }
}
