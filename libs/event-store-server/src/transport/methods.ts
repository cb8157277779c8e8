import type { StoreEngine } from '../engine/store-engine';
import { type SupportedMethod, clusterInfo, supportedMethods } from '../wire/responses';
import { BatchAppendCall } from './batch-append';
import type { Method } from './grpc-server';
import { startScavengeCall, stopScavengeCall } from './operations-methods';
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

export interface MethodOptions {
  readonly engine: StoreEngine;
  readonly node: NodeAddress;
  readonly appendBytesMax?: number;
}

export function methodTable({ engine, node, appendBytesMax }: MethodOptions): ReadonlyMap<string, Method> {
  const features = supportedMethods(
    SUPPORTED.map(({ service, method, features: list }) => ({
      service: service.toLowerCase(),
      method: method.toLowerCase(),
      features: list,
    })),
    SERVER_VERSION,
  );
  return new Map<string, Method>([
    [`/${STREAMS}/Read`, (call) => readCall(engine, call)],
    [`/${STREAMS}/Append`, (call) => appendCall(engine, call, appendBytesMax)],
    [`/${STREAMS}/BatchAppend`, (call) => new BatchAppendCall(engine, call, appendBytesMax)],
    [`/${STREAMS}/Delete`, (call) => deleteCall(engine, call, 'softDelete')],
    [`/${STREAMS}/Tombstone`, (call) => deleteCall(engine, call, 'tombstone')],
    [`/${SERVER_FEATURES}/GetSupportedMethods`, (call) => unary(call, () => void (call.write(features), call.end()))],
    [`/${OPERATIONS}/StartScavenge`, (call) => startScavengeCall(engine, call)],
    [`/${OPERATIONS}/StopScavenge`, (call) => stopScavengeCall(engine, call)],
    [
      `/${GOSSIP}/Read`,
      (call) =>
        unary(call, () => {
          call.write(clusterInfo({ address: node.host, port: node.port(), instanceId: node.instanceId, nowMs: engine.nowMs() }));
          call.end();
        }),
    ],
  ]);
}
