import { randomUUID } from 'node:crypto';
import type { Consumer } from '../persistent/consumer';
import { recordedForm } from '../engine/event-pages';
import type { GroupHost } from '../persistent/group-host';
import { subscriptionId } from '../persistent/group-names';
import type { Content } from '../persistent/message';
import { dropped } from '../persistent/persistent-errors';
import type { Rejection } from '../persistent/persistent-group';
import { type ConsumerMessage, decodeConsumerMessage } from '../wire/persistent-requests';
import { deliveredEvent } from '../wire/persistent-responses';
import { confirmation } from '../wire/responses';
import type { CallHandler, GrpcCall } from './grpc-call';
import { Code, GrpcError } from './grpc-status';
import type { PersistentService } from './persistent-methods';
import { persistentError } from './persistent-status';

/** By number on the wire. Unknown is tried again; stop is skip, as in EventStoreDB. */
const REJECTIONS: readonly Rejection[] = ['retry', 'park', 'retry', 'skip', 'skip'];

/** One consumer: events go out, acknowledgements come in. */
export class ConsumerCall implements CallHandler, Consumer {
  readonly key = randomUUID();
  readonly from: string;
  readonly connectionName: string;
  bufferSize = 0;
  hasRoom = true;
  private host: GroupHost | undefined;
  private structuredIds = false;

  constructor(
    private readonly service: PersistentService,
    private readonly call: GrpcCall,
  ) {
    this.from = call.peer;
    this.connectionName = call.header('connection-name');
  }

  onMessage(bytes: Buffer): void {
    const message = decodeConsumerMessage(bytes);
    if (message === undefined) return;
    if (message.kind === 'connect') this.connect(message);
    else if (this.host === undefined) throw new GrpcError(Code.invalidArgument, 'The first message must have the options.');
    else if (message.kind === 'ack') this.host.acknowledge(message.ids);
    else this.host.reject(message.ids, REJECTIONS[message.action] ?? 'skip', message.reason);
  }

  onEnd(): void {
    this.call.end();
  }

  onClose(): void {
    this.host?.disconnect(this);
    this.host = undefined;
  }

  deliver({ event, link, position }: Content, retryCount: number): void {
    const formOf = (record: Buffer | undefined): Buffer | undefined => record && recordedForm(record, this.structuredIds);
    const frame = deliveredEvent({ event: formOf(event), link: formOf(link), position, retryCount });
    if (this.call.write(frame)) return;
    this.hasRoom = false;
    this.call.whenDrained(() => {
      this.hasRoom = true;
      this.host?.wake();
    });
  }

  drop(): void {
    const { host } = this;
    if (host !== undefined) this.call.fail(persistentError(dropped(host.entry)));
  }

  private connect({ key, bufferSize, structuredIds }: Extract<ConsumerMessage, { kind: 'connect' }>): void {
    if (this.host !== undefined) throw new GrpcError(Code.invalidArgument, 'The call has a subscription already.');
    if (bufferSize < 1) throw new GrpcError(Code.invalidArgument, 'The buffer of a consumer must have at least one place.');
    this.bufferSize = bufferSize;
    this.structuredIds = structuredIds;
    try {
      this.service.authorization.authorize(this.call, { action: 'read', stream: key.source });
      const host = this.service.persistent.host(key);
      host.connect(this);
      this.host = host;
    } catch (error) {
      throw persistentError(error);
    }
    this.call.write(confirmation(subscriptionId(key)));
  }
}
