import { BusUnavailable, type Headers, type Host, type KeyValue, type KeyValueEntry, type Subscription } from '@perdure/kernel';
import { BROKER_CODE, BrokerRefused, isMissing, type BrokerApi } from './broker-api';
import { KeyWatch } from './key-watch';
import { BROKER_TIMEOUT_MS } from './limits';
import type { Link } from './link';
import { fromNatsHeaders, type Requests } from './requests';
import { checkKey, checkKeyPattern, checkSubject } from './subjects';
import type { Topology } from './topology';

export interface KeyValueParts {
  readonly link: Link;
  readonly requests: Requests;
  readonly api: BrokerApi;
  readonly topology: Topology;
  readonly host: Host;
  readonly inbox: string;
}

export const OPERATION_HEADER = 'KV-Operation';

/** A bucket in the broker's own key-value layout, so that its tools can read it. */
export class JetStreamKeyValue implements KeyValue {
  private watches = 0;

  constructor(
    private readonly bucket: string,
    private readonly parts: KeyValueParts,
  ) {
    checkSubject(bucket);
  }

  async get(key: string): Promise<KeyValueEntry | undefined> {
    const found = await this.read(key);
    return found === undefined || found.deleted ? undefined : { key, value: found.value, revision: found.revision };
  }

  async compareAndSet(key: string, value: string, expected: number): Promise<number | undefined> {
    try {
      return await this.store(key, value, { 'Nats-Expected-Last-Subject-Sequence': String(expected) });
    } catch (error) {
      if (!isWrongSequence(error)) throw error;
      if (expected !== 0) return undefined;
      // "Must not exist" is also true of a key that was deleted: its marker is the last message.
      const found = await this.read(key);
      return found?.deleted === true ? this.compareAndSet(key, value, found.revision) : undefined;
    }
  }

  put(key: string, value: string): Promise<number> {
    return this.store(key, value, {});
  }

  async delete(key: string): Promise<void> {
    await this.store(key, '', { [OPERATION_HEADER]: 'DEL' });
  }

  watch(keys: string, onChange: (key: string, value: string | undefined, revision: number) => void): Subscription {
    checkKeyPattern(keys);
    this.watches += 1;
    const { link, host, api, topology, inbox } = this.parts;
    return new KeyWatch({
      link,
      host,
      api,
      topology,
      inbox: `${inbox}.${this.bucket}-${this.watches}`,
      bucket: this.bucket,
      keys,
      onChange,
    });
  }

  private async store(key: string, value: string, headers: Headers): Promise<number> {
    checkKey(key);
    return this.orUnavailable(async () => (await this.parts.api.store(`$KV.${this.bucket}.${key}`, value, headers)).seq);
  }

  private async read(key: string): Promise<{ value: string; revision: number; deleted: boolean } | undefined> {
    checkKey(key);
    const subject = `$JS.API.DIRECT.GET.KV_${this.bucket}.$KV.${this.bucket}.${key}`;
    return this.orUnavailable(async () => {
      const message = await this.parts.requests.send(subject, '', { timeoutMs: BROKER_TIMEOUT_MS });
      if (message.headers?.code === 404) return undefined;
      const headers = fromNatsHeaders(message.headers);
      const deleted = headers[OPERATION_HEADER] !== undefined;
      return { value: message.string(), revision: Number(headers['Nats-Sequence']), deleted };
    });
  }

  private async orUnavailable<T>(attempt: () => Promise<T>): Promise<T> {
    try {
      return await attempt().catch(async (error: unknown) => {
        if (!isMissing(error)) throw error;
        await this.parts.topology.ensure();
        return attempt();
      });
    } catch (error) {
      if (isWrongSequence(error)) throw error;
      throw new BusUnavailable(`The bucket ${this.bucket} does not answer.`, error);
    }
  }
}

function isWrongSequence(error: unknown): boolean {
  return error instanceof BrokerRefused && error.brokerCode === BROKER_CODE.wrongLastSequence;
}
