import { canonicalJson, type Digest, type ErrorRecord } from '@perdure/kernel';
import type { EditedUse, JournalItem, ModelDecision, Outcome, ShownSignal } from '@perdure/run-contract';
import type { Message } from './definitions';

/** What became of a use of a tool, and whose arguments were executed if they were not the model's. */
export interface UseEnd {
  readonly outcome: Outcome;
  readonly edited?: EditedUse | undefined;
}

interface Turn {
  readonly call: string;
  /** What the engine said to the model before. */
  readonly told: string | undefined;
  readonly decision: ModelDecision;
  readonly ends: Map<string, UseEnd>;
}

/** What a model is shown, and its digest: the same on every worker. */
export interface Shown {
  readonly messages: readonly Message[];
  readonly digest: string;
}

export interface ConversationOptions {
  readonly digest: Digest;
  readonly prompt: string;
  /** The fewest turns that the model is shown, once there are so many; undefined = all. */
  readonly contextTurns: number | undefined;
  /** The owner answers for a tool that does not exist; a warm worker is not told. */
  unknownTool(name: string): ErrorRecord;
}

/**
 * What has been said between an agent, its model and its tools.
 *
 * 1. What a model is shown before a turn follows from the journal alone: a worker that has just read it shows the same.
 * 2. Showing it costs what is new. The digest of a conversation is that of what went before and of what is new.
 * 3. With `contextTurns` older turns are left out, so many at a time: in between it only grows, and a provider's cache of its
 *    beginning stays good. What is left out is not kept either.
 */
export class Conversation {
  private turns: Turn[] = [];
  private messages: Message[] = [];
  /** Turns that `messages` and `digest` contain already. */
  private turnsWritten = 0;
  private firstTurn = 1;
  /** What the model is shown before a turn, by its call. */
  private readonly signals = new Map<string, readonly ShownSignal[]>();
  private readonly signalsWritten = new Set<string>();
  private digest = '';
  /** The newest turn before which the engine's words are written. */
  private toldBefore = '';

  constructor(
    private readonly options: ConversationOptions,
    journal: readonly JournalItem[],
  ) {
    this.open();
    for (const item of journal) this.remember(item);
  }

  /** The turn that is under way, by its call. */
  get present(): string | undefined {
    return this.turns.at(-1)?.call;
  }

  private remember(item: JournalItem): void {
    if (item.type === 'decided') this.rememberTurn(item.call, item.told, item.decision);
    if (item.type === 'signalled') {
      const { call, revision, name, payload } = item;
      this.signals.set(call, [...(this.signals.get(call) ?? []), { revision, name, payload }]);
    }
    if (item.type === 'tool-result') this.rememberEnd(item.call, item);
  }

  rememberTurn(call: string, told: string | undefined, decision: ModelDecision): void {
    this.turns.push({ call, told, decision, ends: new Map() });
  }

  rememberEnd(call: string, { outcome, edited }: UseEnd): void {
    const turn = this.turns.at(-1);
    if (turn !== undefined && call.startsWith(`${turn.call}.`)) turn.ends.set(call, { outcome, edited });
  }

  rememberSignals(call: string, signals: readonly ShownSignal[]): void {
    this.signals.set(call, signals);
  }

  /** Before the turn of `call`; `tell` is what the engine says first. */
  shownBefore(call: string, tell: string | undefined): Shown {
    this.leaveOut(firstTurnShown(turnOf(call), this.options.contextTurns));
    this.writeTurns();
    this.writeSignals(call);
    this.writeTold(call, tell);
    return { messages: [...this.messages], digest: this.digest };
  }

  private open(): void {
    this.messages = [];
    this.digest = '';
    this.write({ role: 'user', text: this.options.prompt });
  }

  private leaveOut(firstTurn: number): void {
    if (firstTurn <= this.firstTurn) return;
    this.firstTurn = firstTurn;
    this.turns = this.turns.filter(({ call }) => turnOf(call) >= firstTurn);
    for (const call of this.signals.keys()) if (turnOf(call) < firstTurn) this.signals.delete(call);
    this.turnsWritten = 0;
    this.signalsWritten.clear();
    this.toldBefore = '';
    this.open();
  }

  private writeTurns(): void {
    for (const { call, told, decision, ends } of this.turns.slice(this.turnsWritten)) {
      this.writeSignals(call);
      this.writeTold(call, told);
      const { text, toolCalls } = decision;
      this.write({ role: 'assistant', text, toolCalls });
      toolCalls.forEach(({ toolCallId, tool }, index) => {
        const { outcome, edited } = ends.get(`${call}.${index}`) ?? this.notThere(tool);
        this.write({ role: 'tool', toolCallId, tool, outcome, ...(edited === undefined ? {} : { edited }) });
      });
    }
    this.turnsWritten = this.turns.length;
  }

  private notThere(tool: string): UseEnd {
    return { outcome: { ok: false, error: this.options.unknownTool(tool) } };
  }

  private writeSignals(call: string): void {
    if (this.signalsWritten.has(call)) return;
    this.signalsWritten.add(call);
    for (const { name, payload } of this.signals.get(call) ?? [])
      this.write({ role: 'user', text: `${name}: ${typeof payload === 'string' ? payload : JSON.stringify(payload)}` });
  }

  /** Once a turn, however often its call is tried. */
  private writeTold(call: string, text: string | undefined): void {
    if (text === undefined || this.toldBefore === call) return;
    this.toldBefore = call;
    this.write({ role: 'user', text });
  }

  private write(message: Message): void {
    this.messages.push(message);
    this.digest = this.options.digest.sha256(`${this.digest}${canonicalJson(message)}`);
  }
}

/** Model calls are named t1, t2, … */
export function turnOf(call: string): number {
  return Number(call.slice(1));
}

function firstTurnShown(turn: number, contextTurns: number | undefined): number {
  if (contextTurns === undefined) return 1;
  return Math.max(1, (Math.floor((turn - 1) / contextTurns) - 1) * contextTurns + 1);
}

/** Whether the newest items of a journal are all that the model is shown of it before the next turn. */
export function holdsContext(items: readonly JournalItem[], contextTurns: number | undefined): boolean {
  const decided = items.flatMap((item) => (item.type === 'decided' ? [turnOf(item.call)] : []));
  const [oldest, newest] = [decided[0], decided.at(-1)];
  if (oldest === undefined || newest === undefined) return false;
  // With the turn before, since what is shown before a turn is recorded before it.
  return oldest < firstTurnShown(newest + 1, contextTurns);
}
