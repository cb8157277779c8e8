import type { PersistentSubscriptions } from '../persistent/persistent-subscriptions';
import { type SupportedMethod, clusterInfo, supportedMethods } from '../wire/responses';
import { BatchAppendCall } from './batch-append';
import type { GrpcCall } from './grpc-call';
import type { Method } from './grpc-server';
import { startScavengeCall, stopScavengeCall } from './operations-methods';
import { PERSISTENT_METHODS, PERSISTENT_SUBSCRIPTIONS } from './persistent-methods';
import type { StoreService } from './store-service';
import { appendCall, deleteCall, readCall, unary } from './stream-methods';

/** What EventStoreDB calls itself in the release whose behaviour this server keeps to. */
const SERVER_VERSION = '24.10.0';
const STREAMS = 'event_store.client.streams.Streams';
const SERVER_FEATURES = 'event_store.client.server_features.ServerFeatures';
const OPERATIONS = 'event_store.client.operations.Operations';
const GOSSIP = 'event_store.client.gossip.Gossip';

const SUPPORTED: readonly SupportedMethod[] = [
  { service: STREAMS, method: 'Read', features: ['position', 'events'] },
  { service: STREAMS, method: 'Append', features: [] },
  { service: STREAMS, method: 'BatchAppend', features: ['deadline_duration'] },
  { service: STREAMS, method: 'Delete', features: [] },
  { service: STREAMS, method: 'Tombstone', features: [] },
  ...Object.keys(PERSISTENT_METHODS).map((method) => ({
    service: PERSISTENT_SUBSCRIPTIONS,
    method,
    features: ['stream', 'all'],
  })),
  { service: SERVER_FEATURES, method: 'GetSupportedMethods', features: [] },
  { service: GOSSIP, method: 'Read', features: [] },
  { service: OPERATIONS, method: 'StartScavenge', features: [] },
  { service: OPERATIONS, method: 'StopScavenge', features: [] },
];

export interface NodeAddress {
  readonly instanceId: string;
  readonly host: string;
  port(): number;
}

export interface MethodOptions extends StoreService {
  readonly node: NodeAddress;
  readonly persistent: PersistentSubscriptions;
}

/** Each method asks for what it needs itself, but first everybody has to have a login. */
function storeMethods(service: MethodOptions): readonly (readonly [path: string, method: Method])[] {
  return [
    [`/${STREAMS}/Read`, (call) => readCall(service, call)],
    [`/${STREAMS}/Append`, (call) => appendCall(service, call)],
    [`/${STREAMS}/BatchAppend`, (call) => new BatchAppendCall(service, call)],
    [`/${STREAMS}/Delete`, (call) => deleteCall(service, call, 'softDelete')],
    [`/${STREAMS}/Tombstone`, (call) => deleteCall(service, call, 'tombstone')],
    ...Object.entries(PERSISTENT_METHODS).map(([name, method]): [string, Method] => [
      `/${PERSISTENT_SUBSCRIPTIONS}/${name}`,
      (call) => method(service, call),
    ]),
    [`/${OPERATIONS}/StartScavenge`, (call) => startScavengeCall(service, call)],
    [`/${OPERATIONS}/StopScavenge`, (call) => stopScavengeCall(service, call)],
  ];
}

/** For everybody: clients ask before they send any credentials. */
function publicMethods({ node, engine }: MethodOptions): readonly (readonly [path: string, method: Method])[] {
  const features = supportedMethods(
    SUPPORTED.map(({ service, method, features: list }) => ({
      service: service.toLowerCase(),
      method: method.toLowerCase(),
      features: list,
    })),
    SERVER_VERSION,
  );
  const gossip = ({ authority }: GrpcCall): Buffer => {
    const { address, port } = reachedAddress(authority) ?? { address: node.host, port: node.port() };
    return clusterInfo({ address, port, instanceId: node.instanceId, nowMs: engine.nowMs() });
  };
  return [
    [`/${SERVER_FEATURES}/GetSupportedMethods`, (call) => unary(call, () => void (call.write(features), call.end()))],
    [`/${GOSSIP}/Read`, (call) => unary(call, () => void (call.write(gossip(call)), call.end()))],
  ];
}

export function methodTable(options: MethodOptions): ReadonlyMap<string, Method> {
  const { authorization } = options;
  const guarded = storeMethods(options).map(([path, method]): readonly [string, Method] => [
    path,
    (call) => {
      authorization.requireLogin(call);
      return method(call);
    },
  ]);
  return new Map([...guarded, ...publicMethods(options)]);
}

const AUTHORITY = /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253}):(\d{1,5})$/i;

/**
 * Whoever asks has reached this server: the same way leads there again, through whatever translates addresses, and by
 * the name that the certificate bears. Undefined when the client does not say it.
 */
export function reachedAddress(authority: string): { readonly address: string; readonly port: number } | undefined {
  const [, host, port] = AUTHORITY.exec(authority) ?? [];
  if (host === undefined || port === undefined) return undefined;
  return { address: host.replace(/^\[|\]$/g, ''), port: Number(port) };
}
