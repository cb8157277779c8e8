import { Retryable, type Bus, type Host } from '@perdure/kernel';
import type { RunAddress } from '@perdure/run-contract';
import { Client } from '@perdure/sdk';
import type { ServerResponse } from 'node:http';
import { EventStream } from './event-stream';

/** Each may keep half a MiB for a reader that is slow, and has a question open at the owner of its run. */
export const TOKEN_STREAMS_MAX = 256;

/** Tokens of runs over HTTP. */
export class TokenStreams {
  private open = 0;

  constructor(private readonly ports: { readonly bus: Bus; readonly host: Host }) {}

  /**
   * One server-sent event for each event of the SDK, with its id: a reader that was cut off goes on after the last one. Ends with the run.
   * @throws Terminal `RunNotFound`, `MalformedRequest`; Retryable `TooManyStreams`; nothing has been written then
   */
  async stream({ tenant, runId }: RunAddress, after: string | undefined, open: () => ServerResponse): Promise<void> {
    if (this.open >= TOKEN_STREAMS_MAX) {
      const message = `This gateway already holds ${TOKEN_STREAMS_MAX} streams of tokens. Close one, or come again later.`;
      throw new Retryable('TooManyStreams', message, { retryAfterMs: 1_000 });
    }
    this.open += 1;
    const reading = new AbortController();
    let stream: EventStream | undefined;
    try {
      const client = new Client(this.ports, { tenant });
      const tokens = client.tokens(runId, { signal: reading.signal, ...(after === undefined ? {} : { after }) });
      await client.view(runId);
      stream = new EventStream(open(), this.ports.host);
      stream.closed.addEventListener('abort', () => reading.abort(), { once: true });
      for await (const event of tokens) await stream.send({ id: event.id, event: event.type, data: event });
      if (!stream.closed.aborted) stream.end();
    } finally {
      stream?.close();
      this.open -= 1;
    }
  }
}
