import { failed } from '../persistent/persistent-errors';
import type { PersistentSubscriptions } from '../persistent/persistent-subscriptions';
import {
  decodeGetInfo,
  decodeGroupDelete,
  decodeGroupRequest,
  decodeList,
  decodeReplayParked,
} from '../wire/persistent-requests';
import { DONE, groupInfo, groupList } from '../wire/persistent-responses';
import type { Authorization } from './authorization';
import type { CallHandler, GrpcCall } from './grpc-call';
import { ConsumerCall } from './consumer-call';
import { persistentError } from './persistent-status';
import { unary } from './stream-methods';

export const PERSISTENT_SUBSCRIPTIONS = 'event_store.client.persistent_subscriptions.PersistentSubscriptions';

export interface PersistentService {
  readonly persistent: PersistentSubscriptions;
  readonly authorization: Authorization;
}

/** Groups are the business of who runs the server; to consume, one must be allowed to read. */
const MANAGEMENT: Readonly<Record<string, (subscriptions: PersistentSubscriptions, call: GrpcCall) => CallHandler>> = {
  Create: (subscriptions, call) => changing(call, (request) => subscriptions.create(decodeGroupRequest(request))),
  Update: (subscriptions, call) =>
    changing(call, (request) => {
      const { source, group, settings } = decodeGroupRequest(request);
      return subscriptions.update({ source, group }, settings);
    }),
  Delete: (subscriptions, call) => changing(call, (request) => subscriptions.delete(decodeGroupDelete(request))),
  RestartSubsystem: (subscriptions, call) => changing(call, () => subscriptions.restart()),
  GetInfo: (subscriptions, call) => answering(call, (request) => groupInfo(subscriptions.report(decodeGetInfo(request)))),
  List: (subscriptions, call) =>
    answering(call, (request) => {
      const source = decodeList(request);
      return groupList(source === undefined ? subscriptions.reportAll() : subscriptions.reportOf(source));
    }),
  ReplayParked: (subscriptions, call) =>
    answering(call, (request) => {
      const { stopAt, ...key } = decodeReplayParked(request);
      if (stopAt !== undefined && stopAt < 0) throw failed(key, 'Cannot stop replaying parked message at a negative version.');
      subscriptions.host(key).replayParked(stopAt);
      return DONE;
    }),
};

/** By the name of the method. */
export const PERSISTENT_METHODS: Readonly<Record<string, (service: PersistentService, call: GrpcCall) => CallHandler>> = {
  Read: (service, call) => new ConsumerCall(service, call),
  ...Object.fromEntries(
    Object.entries(MANAGEMENT).map(([name, method]) => [
      name,
      ({ persistent, authorization }: PersistentService, call: GrpcCall) => {
        authorization.authorize(call, { action: 'operate' });
        return method(persistent, call);
      },
    ]),
  ),
};

function changing(call: GrpcCall, change: (request: Buffer) => Promise<void>): CallHandler {
  return unary(call, (request) => {
    change(request).then(
      () => {
        call.write(DONE);
        call.end();
      },
      (error: unknown) => call.fail(persistentError(error)),
    );
  });
}

function answering(call: GrpcCall, answer: (request: Buffer) => Buffer): CallHandler {
  return unary(call, (request) => {
    try {
      call.write(answer(request));
      call.end();
    } catch (error) {
      call.fail(persistentError(error));
    }
  });
}
