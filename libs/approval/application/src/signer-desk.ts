import { signerRequest, signerSubject, type Change, type Decide, type SignerRequest } from '@perdure/approval-contract';
import { errorRecordOf, PerdureError, Terminal, type BusMessage, type Subscription } from '@perdure/kernel';
import { decide } from './decide';
import { change } from './change';
import type { SignerPorts } from './ports';

/** A person's decision with arguments of its own: an append, less its envelope. */
const REQUEST_BYTES_MAX = 1_200_000;
/** Beyond it callers are asked to come back: each request reads the log. */
const REQUESTS_MAX = 64;
const ISSUES_SHOWN = 5;
const BUSY_RETRY_MS = 200;
/** Several signers share the work; each request is handled once. */
const QUEUE = 'signer';

/**
 * Answers what persons ask of the signer.
 *
 * 1. Nothing is signed but what the log says, for a person who has shown who it is.
 * 2. What it signs it sends itself to the owner of the run, or of the tenant; nobody is given a signature to carry about.
 * 3. Every refusal is told to the owner of the run, if there is such a run, signed as a refusal.
 */
export class SignerDesk {
  private listening: Subscription | undefined;
  private underWay = 0;

  constructor(private readonly ports: SignerPorts) {}

  start(): void {
    this.listening = this.ports.bus.subscribe(signerSubject.all, (message) => void this.onRequest(message), { queue: QUEUE });
  }

  async stop(): Promise<void> {
    await this.listening?.close();
  }

  private async onRequest(message: BusMessage): Promise<void> {
    this.underWay += 1;
    try {
      if (this.underWay > REQUESTS_MAX) throw busy();
      const value = await this.perform(signerSubject.parse(message.subject), parse(message.payload));
      message.respond(JSON.stringify({ ok: true, value }));
    } catch (error) {
      if (!(error instanceof PerdureError))
        this.ports.host.log.error('a request to the signer failed', { reason: String(error) });
      message.respond(JSON.stringify({ ok: false, error: errorRecordOf(error) }));
    } finally {
      this.underWay -= 1;
    }
  }

  private perform(tenant: string, { id, command }: SignerRequest): Promise<unknown> {
    switch (command.type) {
      case 'Decide':
        return decide(this.ports, { tenant, id, command } satisfies Asked<Decide>);
      case 'Change':
        return change(this.ports, { tenant, command } satisfies Omit<Asked<Change>, 'id'>);
    }
  }
}

interface Asked<C> {
  readonly tenant: string;
  readonly id: string;
  readonly command: C;
}

function busy(): PerdureError {
  return new PerdureError('Overloaded', 'retryable', 'The signer is busy. Try again a little later.', {
    retryAfterMs: BUSY_RETRY_MS,
  });
}

/** @throws Terminal `PayloadTooLarge`, `MalformedRequest` */
function parse(text: string): SignerRequest {
  if (text.length > REQUEST_BYTES_MAX)
    throw new Terminal('PayloadTooLarge', `The request has ${text.length} bytes; the limit is ${REQUEST_BYTES_MAX}.`);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new Terminal('MalformedRequest', 'The request is not JSON.', { cause: error });
  }
  const parsed = signerRequest.safeParse(json);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.slice(0, ISSUES_SHOWN).map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new Terminal('MalformedRequest', `The request does not have its shape: ${issues.join('; ')}`);
}
