import { PerdureError, Retryable, type Headers } from '@perdure/kernel';
import { BROKER_TIMEOUT_MS } from './limits';
import { toNatsHeaders, type Requests } from './requests';

/** Numbers that the broker gives its answers: `err_code`. */
export const BROKER_CODE = {
  streamNotFound: 10059,
  consumerNotFound: 10014,
  streamNameInUse: 10058,
  wrongLastSequence: 10071,
  streamFull: [10047, 10076, 10077],
} as const;

export class BrokerRefused extends Retryable {
  constructor(
    readonly subject: string,
    readonly brokerCode: number,
    description: string,
  ) {
    super('BrokerRefused', `The broker refuses ${subject}: ${description} (${brokerCode}).`, {
      details: { subject, brokerCode },
    });
  }
}

interface ApiAnswer {
  readonly error?: { readonly err_code?: number; readonly description?: string };
}

export interface PublishAck {
  readonly stream: string;
  readonly seq: number;
  readonly duplicate?: boolean;
}

/** Requests to JetStream: its administration, and publishes that it acknowledges. */
export class BrokerApi {
  constructor(private readonly requests: Requests) {}

  /** @throws BrokerRefused, and what any request throws */
  async call<A extends object>(name: string, body: object = {}): Promise<A> {
    return this.send<A>(`$JS.API.${name}`, JSON.stringify(body));
  }

  /** Resolves when a stream has stored the message. @throws NoResponders when no stream takes the subject */
  async store(subject: string, payload: string, headers: Headers = {}): Promise<PublishAck> {
    return this.send<PublishAck>(subject, payload, headers);
  }

  private async send<A extends object>(subject: string, payload: string, headers?: Headers): Promise<A> {
    const message = await this.requests.send(subject, payload, {
      timeoutMs: BROKER_TIMEOUT_MS,
      ...(headers === undefined ? {} : { headers: toNatsHeaders(headers) }),
    });
    const answer = message.json<A & ApiAnswer>();
    if (answer.error !== undefined)
      throw new BrokerRefused(subject, answer.error.err_code ?? 0, answer.error.description ?? 'no reason given');
    return answer;
  }
}

/** True when the stream or consumer that was spoken to does not exist. */
export function isMissing(error: unknown): boolean {
  if (error instanceof BrokerRefused) {
    return error.brokerCode === BROKER_CODE.streamNotFound || error.brokerCode === BROKER_CODE.consumerNotFound;
  }
  return error instanceof PerdureError && error.code === 'NoResponders';
}
