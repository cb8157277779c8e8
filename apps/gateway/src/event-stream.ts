import type { ServerResponse } from 'node:http';
import type { Cancel, Host } from '@perdure/kernel';

const KEEP_ALIVE_MS = 15_000;
const RECONNECT_MS = 500;

/** Server-sent events on one response, until either side has enough. */
export class EventStream {
  private readonly gone = new AbortController();
  private cancelBeat: Cancel;

  constructor(
    private readonly response: ServerResponse,
    private readonly host: Pick<Host, 'timers'>,
  ) {
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      connection: 'keep-alive',
      'x-accel-buffering': 'no',
    });
    response.write(`retry: ${RECONNECT_MS}\n\n`);
    const leave = (): void => this.gone.abort();
    response.once('close', leave);
    response.once('error', leave);
    this.cancelBeat = this.beat();
  }

  /** Fires when nobody listens any more. */
  get closed(): AbortSignal {
    return this.gone.signal;
  }

  whenClosed(): Promise<void> {
    if (this.closed.aborted) return Promise.resolve();
    return new Promise((resolve) => this.closed.addEventListener('abort', () => resolve(), { once: true }));
  }

  /** Resolves when there is room for more: whoever waits for it keeps nothing for a reader that is slow. */
  async send({ id, event, data }: { readonly id: string; readonly event?: string; readonly data: unknown }): Promise<void> {
    if (this.isOver) return;
    const name = event === undefined ? '' : `event: ${event}\n`;
    if (this.response.write(`id: ${id}\n${name}data: ${JSON.stringify(data)}\n\n`)) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.response.off('drain', done);
        this.response.off('close', done);
        resolve();
      };
      this.response.once('drain', done);
      this.response.once('close', done);
    });
  }

  /** There is no more, and it is no use to come again. */
  end(): void {
    if (!this.isOver) this.response.end('event: end\ndata: {}\n\n');
    this.close();
  }

  /** Whoever wants more comes again. */
  close(): void {
    this.cancelBeat();
    if (!this.isOver) this.response.end();
    this.gone.abort();
  }

  private get isOver(): boolean {
    return this.response.destroyed || this.response.writableEnded;
  }

  private beat(): Cancel {
    return this.host.timers.after(KEEP_ALIVE_MS, () => {
      if (!this.isOver) this.response.write(': still here\n\n');
      this.cancelBeat = this.beat();
    });
  }
}
