import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SeededRandom } from '@perdure/testing';

/** After the money has moved: how often the payer is not told. Half of those wait for ever, half lose the connection. */
const SILENT_SHARE = 0.1;

export interface Transfer {
  readonly payment: string;
  readonly execution: string;
  readonly atMs: number;
}

/**
 * A destination as bad as they are: it knows no idempotency keys, moves the money at once, and then may say nothing. What it
 * did stands in its book, which nobody else writes.
 */
export class Bank {
  readonly transfers: Transfer[] = [];
  /** It did what it was asked, and did not say so. */
  silences = 0;
  private onTransfer: ((payer: string) => void) | undefined;
  private readonly random: SeededRandom;

  private constructor(
    private readonly server: Server,
    seed: number,
  ) {
    this.random = new SeededRandom(seed).split('bank');
    server.on('request', (request, response) => void this.answer(request, response));
  }

  static async open(seed: number): Promise<Bank> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new Bank(server, seed);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** By payment: what a statement of the account shows. */
  of(payment: string): readonly Transfer[] {
    return this.transfers.filter((transfer) => transfer.payment === payment);
  }

  /** Told once, when money has moved and whoever asked for it has not been answered. */
  afterNextTransfer(told: (payer: string) => void): void {
    this.onTransfer = told;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const execution = decodeURIComponent((request.url ?? '').slice(1));
    if (request.method === 'GET') {
      response.end(JSON.stringify({ found: this.transfers.some((transfer) => transfer.execution === execution) }));
      return;
    }
    let payment = '';
    for await (const part of request) payment += String(part);
    this.transfers.push({ payment, execution, atMs: Date.now() });
    const told = this.onTransfer;
    this.onTransfer = undefined;
    told?.(String(request.headers['x-payer'] ?? ''));
    if (!this.random.chance(SILENT_SHARE)) {
      response.end(JSON.stringify({ payment }));
      return;
    }
    this.silences += 1;
    if (this.random.chance(0.5)) request.socket.destroy();
  }
}
