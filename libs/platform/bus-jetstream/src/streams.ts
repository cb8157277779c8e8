import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  PersistMode,
  RetentionPolicy,
  StorageType,
  type ConsumerConfig,
  type StreamConfig,
} from '@nats-io/jetstream';
import {
  COMMANDS_BYTES_MAX,
  COMMAND_ACKS_PENDING_MAX,
  COMMAND_ACK_WAIT_MS,
  DEAD_LETTERS_AGE_MAX_MS,
  DEAD_LETTERS_BYTES_MAX,
  DUPLICATE_WINDOW_MS,
  EVENTS_AGE_MAX_MS,
  EVENTS_BYTES_MAX,
  KEY_VALUE_BYTES_MAX,
} from './limits';

export const EVENTS_STREAM = 'EVENTS';
export const COMMANDS_STREAM = 'COMMANDS';
export const DEAD_LETTERS_STREAM = 'DEAD_LETTERS';
export const LEASES_BUCKET = 'perdure-leases';
export const MAP_BUCKET = 'perdure-map';

const NANOS_PER_MS = 1_000_000;

export function nanos(ms: number): number {
  return ms * NANOS_PER_MS;
}

export type WantedStream = Partial<StreamConfig> & { readonly name: string };

/**
 * Everything is bounded, so that the disk never fills: a full disk switches JetStream off until a restart.
 * Only `COMMANDS` holds something that exists nowhere else (until it is answered); the rest can be rebuilt
 * from the log and does not wait for the disk. The broker offers that for streams without copies only.
 */
export function wantedStreams(replicas: number): readonly WantedStream[] {
  const shared = { storage: StorageType.File, num_replicas: replicas, allow_direct: true };
  const rebuildable = replicas === 1 ? { ...shared, persist_mode: PersistMode.Async } : shared;
  return [
    {
      ...rebuildable,
      name: EVENTS_STREAM,
      // The barrier of a publisher lies beside the facts, so that nobody who listens to facts sees it.
      subjects: ['perdure.evt.>', 'perdure.mark.*'],
      retention: RetentionPolicy.Limits,
      discard: DiscardPolicy.Old,
      max_age: nanos(EVENTS_AGE_MAX_MS),
      max_bytes: EVENTS_BYTES_MAX,
      duplicate_window: nanos(DUPLICATE_WINDOW_MS),
      allow_rollup_hdrs: true,
    },
    {
      ...shared,
      name: COMMANDS_STREAM,
      subjects: ['perdure.part.*.cmd.>'],
      retention: RetentionPolicy.Workqueue,
      discard: DiscardPolicy.New,
      max_bytes: COMMANDS_BYTES_MAX,
      duplicate_window: nanos(DUPLICATE_WINDOW_MS),
    },
    {
      ...shared,
      name: DEAD_LETTERS_STREAM,
      subjects: ['perdure.dead.>'],
      retention: RetentionPolicy.Limits,
      discard: DiscardPolicy.Old,
      max_age: nanos(DEAD_LETTERS_AGE_MAX_MS),
      max_bytes: DEAD_LETTERS_BYTES_MAX,
      duplicate_window: nanos(DUPLICATE_WINDOW_MS),
    },
    bucketStream(LEASES_BUCKET, rebuildable),
    bucketStream(MAP_BUCKET, rebuildable),
  ];
}

function bucketStream(bucket: string, shared: Partial<StreamConfig>): WantedStream {
  return {
    ...shared,
    name: `KV_${bucket}`,
    subjects: [`$KV.${bucket}.>`],
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.New,
    max_msgs_per_subject: 1,
    max_bytes: KEY_VALUE_BYTES_MAX,
    duplicate_window: nanos(DUPLICATE_WINDOW_MS),
    allow_rollup_hdrs: true,
    deny_delete: true,
  };
}

export function wantedConsumer(name: string, subject: string): Partial<ConsumerConfig> {
  return {
    durable_name: name,
    filter_subject: subject,
    ack_policy: AckPolicy.Explicit,
    ack_wait: nanos(COMMAND_ACK_WAIT_MS),
    deliver_policy: DeliverPolicy.All,
    // A message that used up its deliveries would stay for ever, unseen: we dead-letter it ourselves.
    max_deliver: -1,
    max_ack_pending: COMMAND_ACKS_PENDING_MAX,
    max_waiting: 512,
  };
}
