import { delay, PerdureError, type ErrorRecord, type Host, type Json, type Keeper, type RecordedEvent } from '@perdure/kernel';
import { answer, runAddress, runStream, TERMINAL_EVENT_TYPES, type RunAddress, type RunEvent } from '@perdure/run-contract';
import { isOpen, type NoteMessage, type RunState } from '@perdure/run-domain';
import { keyOf } from './activation-keeper';

/**
 * Keeps the promises about messages between runs, also of senders that have ended.
 *
 * 1. To one recipient the messages of a sender go one after another, in the order in which they were sent.
 * 2. A message is repeated under its id until the owner of its recipient has answered: so it arrives once.
 */

const REPEAT_FIRST_MS = 50;
const REPEAT_MAX_MS = 2_000;
const TERMINAL: ReadonlySet<string> = new Set(TERMINAL_EVENT_TYPES);
const TYPES: readonly string[] = ['MessageSent', 'MessageDelivered', 'MessageRefused', 'RunRewound', 'RunContinued'];

export interface MessagePorts {
  readonly host: Host;
  owns(address: RunAddress): boolean;
  /** A request to the owner of a run, wherever it is. @returns JSON of an answer */
  ask(address: RunAddress, request: string): Promise<string>;
  decide(address: RunAddress, command: NoteMessage): Promise<void>;
  stateOf(address: RunAddress): Promise<RunState>;
  factAt(address: RunAddress, revision: number): Promise<RunEvent | undefined>;
}

interface Unanswered {
  readonly call: string;
  readonly to: string;
  readonly messageId: string;
  /** Of the fact that sent it. */
  readonly revision: number;
}

interface Sender {
  /** In the order in which they were sent. */
  messages: Unanswered[];
  /** The newest fact that was told of it, by whichever way. */
  revision: number;
}

type Told = Pick<RecordedEvent, 'stream' | 'revision' | 'type' | 'data'>;
type Saved = readonly (readonly [stream: string, revision: number, messages: readonly Unanswered[]])[];

export class MessageKeeper implements Keeper {
  readonly name = 'messages';
  readonly eventTypes = TYPES;
  private complete = false;
  private readonly senders = new Map<string, Sender>();
  /** By sender and recipient. */
  private readonly underWay = new Set<string>();
  private stopped = false;

  constructor(private readonly ports: MessagePorts) {}

  stop(): void {
    this.stopped = true;
  }

  restore(index: Json | undefined): void {
    this.senders.clear();
    for (const [stream, revision, messages] of (index ?? []) as unknown as Saved)
      this.senders.set(stream, { messages: [...messages], revision });
  }

  /** The checkpoint has passed what is answered: a sender without messages stands only for its newest revision until then. */
  snapshot(): Json {
    for (const [stream, { messages }] of this.senders) if (messages.length === 0) this.senders.delete(stream);
    return [...this.senders].map(([stream, { messages, revision }]) => [stream, revision, messages]) as unknown as Json;
  }

  caughtUp(): void {
    if (this.complete) return;
    this.complete = true;
    this.resumeAll(() => true);
  }

  noteOwn(address: RunAddress, event: RunEvent, revision: number): void {
    if (TYPES.includes(event.type))
      this.apply({ stream: runStream.build(address), revision, type: event.type, data: event.data });
    else if (TERMINAL.has(event.type)) this.carryOn(address);
  }

  apply({ stream, revision, type, data }: Told): void {
    const sender = this.senders.get(stream) ?? { messages: [], revision: -1 };
    if (revision <= sender.revision) return;
    this.senders.set(stream, sender);
    sender.revision = revision;
    const { call, to, messageId } = data as Unanswered;
    if (type === 'MessageSent') sender.messages.push({ call, to, messageId, revision });
    else if (type === 'MessageDelivered' || type === 'MessageRefused')
      sender.messages = sender.messages.filter((message) => message.call !== call);
    if (this.complete) this.carryOn(runStream.parse(stream));
  }

  resumeAll(isOf: (sender: RunAddress) => boolean): void {
    if (!this.complete) return;
    for (const stream of this.senders.keys()) {
      const address = runStream.parse(stream);
      if (isOf(address)) this.carryOn(address);
    }
  }

  /** The first message to each recipient is on its way. */
  private carryOn(sender: RunAddress): void {
    if (!this.ports.owns(sender)) return;
    const first = new Map<string, Unanswered>();
    for (const message of this.senders.get(runStream.build(sender))?.messages ?? [])
      if (!first.has(message.to)) first.set(message.to, message);
    for (const message of first.values()) this.send(sender, message);
  }

  private send(sender: RunAddress, message: Unanswered): void {
    const key = `${keyOf(sender)} ${message.to}`;
    if (this.underWay.has(key)) return;
    this.underWay.add(key);
    void this.deliver(sender, message).finally(() => {
      this.underWay.delete(key);
      this.carryOn(sender);
    });
  }

  private async deliver(sender: RunAddress, message: Unanswered): Promise<void> {
    for (let waitMs = REPEAT_FIRST_MS; !this.stopped && this.ports.owns(sender); waitMs = Math.min(2 * waitMs, REPEAT_MAX_MS)) {
      const isDone = await this.advance(sender, message).catch((error: unknown) => {
        this.ports.host.log.warn('a message was not delivered yet', { ...sender, call: message.call, reason: String(error) });
        return false;
      });
      if (isDone) return;
      await delay(this.ports.host, waitMs);
    }
  }

  /** @returns whether the owner of the recipient has answered, and that is known */
  private async advance(sender: RunAddress, { call, to, messageId, revision }: Unanswered): Promise<boolean> {
    const fact = await this.ports.factAt(sender, revision);
    if (fact?.type !== 'MessageSent') return true;
    const { name, payload } = fact.data;
    const command = { type: 'SignalRun', name, payload, from: sender.runId };
    const actor = { kind: 'service', id: 'orchestrator' };
    const request = JSON.stringify({ v: 1, id: messageId, actor, command });
    const reply = answer.parse(JSON.parse(await this.ports.ask(runAddress(sender.tenant, to), request)));
    if (!reply.ok && reply.error.reaction === 'retryable') return false;
    const error = reply.ok ? {} : { error: refusalOf(PerdureError.fromRecord(reply.error as ErrorRecord).toRecord(), to) };
    if (isOpen(await this.ports.stateOf(sender)))
      await this.ports.decide(sender, { type: 'NoteMessage', call, messageId, ...error });
    // Nobody can be told any more: that it was answered is known here alone.
    this.forget(sender, messageId);
    return true;
  }

  private forget(sender: RunAddress, messageId: string): void {
    const known = this.senders.get(runStream.build(sender));
    if (known !== undefined) known.messages = known.messages.filter((message) => message.messageId !== messageId);
  }
}

const CODES: Readonly<Record<string, string>> = {
  RunAlreadyEnded: 'RecipientEnded',
  RunNotFound: 'RecipientNotFound',
  CommandIdExpired: 'MessageUnconfirmed',
};

function refusalOf({ code, message }: ErrorRecord, to: string): ErrorRecord {
  return {
    code: CODES[code] ?? code,
    message: `The run ${to} does not take it: ${message}`,
    reaction: 'terminal',
    details: { to },
  };
}
