import { headers as emptyHeaders, type Msg, type MsgHdrs } from '@nats-io/transport-node';
import {
  BusUnavailable,
  MessageTooLarge,
  NoResponders,
  RequestTimedOut,
  type Cancel,
  type Headers,
  type Host,
} from '@perdure/kernel';
import type { Link } from './link';

interface Pending {
  readonly subject: string;
  readonly timeoutMs: number;
  readonly resolve: (answer: Msg) => void;
  readonly reject: (error: Error) => void;
  cancelTimer: Cancel;
}

/**
 * Request and reply over one subscription: the last token of the reply subject names the request.
 *
 * 1. A request that is under way when the connection is lost fails at once: its answer cannot arrive any more.
 * 2. A request made while there is no connection is sent on the next one, if its time has not run out before.
 */
export class Requests {
  private readonly pending = new Map<string, Pending>();
  private waiting: { readonly token: string; send(): void }[] = [];
  private readonly prefix: string;
  private serial = 0;

  constructor(
    private readonly link: Link,
    inbox: string,
    private readonly host: Pick<Host, 'timers'>,
  ) {
    this.prefix = `${inbox}.r.`;
    link.nc.subscribe(`${this.prefix}*`, { callback: (error, message) => this.onAnswer(error, message) });
    link.onDown(() => this.failPending());
    link.onUp(() => this.sendWaiting());
  }

  send(subject: string, payload: string, options: { readonly timeoutMs: number; readonly headers?: MsgHdrs }): Promise<Msg> {
    return new Promise((resolve, reject) => {
      this.serial += 1;
      const token = this.serial.toString(36);
      const { timeoutMs, headers } = options;
      const cancelTimer = this.host.timers.after(timeoutMs, () => this.timeOut(token));
      this.pending.set(token, { subject, timeoutMs, resolve, reject, cancelTimer });
      const reply = this.prefix + token;
      if (this.link.connected)
        this.write(token, () => this.link.publish(subject, payload, headers === undefined ? { reply } : { reply, headers }));
      else
        this.waiting.push({
          token,
          send: () => this.link.publish(subject, payload, headers === undefined ? { reply } : { reply, headers }),
        });
    });
  }

  private write(token: string, publish: () => void): void {
    try {
      publish();
    } catch (error) {
      const reason = error instanceof MessageTooLarge ? error : new BusUnavailable('The request could not be written.', error);
      this.take(token)?.reject(reason);
    }
  }

  private onAnswer(error: Error | null, message: Msg): void {
    if (error !== null) return;
    const pending = this.take(message.subject.slice(this.prefix.length));
    if (pending === undefined) return;
    if (message.data.length === 0 && message.headers?.code === 503) pending.reject(new NoResponders(pending.subject));
    else pending.resolve(message);
  }

  private timeOut(token: string): void {
    const pending = this.take(token);
    if (pending === undefined) return;
    const error = this.link.connected
      ? new RequestTimedOut(pending.subject, pending.timeoutMs)
      : new BusUnavailable(`No connection to the broker for ${pending.timeoutMs} ms.`);
    pending.reject(error);
  }

  private take(token: string): Pending | undefined {
    const pending = this.pending.get(token);
    if (pending === undefined) return undefined;
    this.pending.delete(token);
    pending.cancelTimer();
    return pending;
  }

  private failPending(): void {
    const kept = new Set(this.waiting.map(({ token }) => token));
    for (const token of [...this.pending.keys()]) {
      if (kept.has(token)) continue;
      this.take(token)?.reject(new BusUnavailable('The connection to the broker was lost; the request may have been handled.'));
    }
  }

  private sendWaiting(): void {
    const waiting = this.waiting;
    this.waiting = [];
    for (const { token, send } of waiting) if (this.pending.has(token)) this.write(token, send);
  }
}

/** Line breaks in a value would end the header: they become spaces. */
export function toNatsHeaders(values: Headers, more: Headers = {}): MsgHdrs {
  const result = emptyHeaders();
  for (const source of [values, more]) {
    for (const [name, value] of Object.entries(source)) result.append(name, value.replace(/[\r\n]+/g, ' '));
  }
  return result;
}

export function fromNatsHeaders(headers: MsgHdrs | undefined): Headers {
  if (headers === undefined) return {};
  return Object.fromEntries(headers.keys().map((name) => [name, headers.get(name)]));
}
