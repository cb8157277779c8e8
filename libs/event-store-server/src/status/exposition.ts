import { SYNC_BUCKETS_SECONDS, type StoreMetrics } from './store-metrics';

// The text form of Prometheus: a line each, and a line before it that says what kind of figure it is.

/** What is so at the moment, beside what has been counted. */
export interface Gauges {
  readonly connections: number;
  readonly http2Sessions: number;
  /** By path of the method. */
  readonly openCalls: ReadonlyMap<string, number>;
  readonly isReady: boolean;
  /** Undefined while the log is being opened. */
  readonly log: { readonly bytes: number; readonly streams: number; readonly events: number } | undefined;
  readonly memory: NodeJS.MemoryUsage;
}

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [value: number, labels?: Labels];

function labelText(labels: Labels = {}): string {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${value.replace(/["\\\n]/g, '_')}"`);
  return parts.length === 0 ? '' : `{${parts.join(',')}}`;
}

function family(kind: 'counter' | 'gauge', name: string, samples: readonly Sample[]): string {
  const lines = samples.map(([value, labels]) => `${name}${labelText(labels)} ${value}`);
  return [`# TYPE ${name} ${kind}`, ...lines].join('\n');
}

function syncHistogram({ syncsByBucket, syncSeconds, syncs }: StoreMetrics): string {
  const name = 'perdure_store_sync_seconds';
  let total = 0;
  const buckets = [...SYNC_BUCKETS_SECONDS.map(String), '+Inf'].map((bound, at) => {
    total += syncsByBucket[at] ?? 0;
    return `${name}_bucket{le="${bound}"} ${total}`;
  });
  return [`# TYPE ${name} histogram`, ...buckets, `${name}_sum ${syncSeconds}`, `${name}_count ${syncs}`].join('\n');
}

/** Service and method, as the last two parts of a path have them. */
function methodName(path: string): string {
  const [service = '', method = ''] = path.split('/').slice(1);
  return `${service.slice(service.lastIndexOf('.') + 1)}/${method}`;
}

export function exposition(metrics: StoreMetrics, gauges: Gauges): string {
  const { log, memory } = gauges;
  const calls = [...gauges.openCalls].map(([path, open]): Sample => [open, { method: methodName(path) }]);
  const refusals = [...metrics.refusals].map(([reason, count]): Sample => [count, { reason }]);
  const families = [
    family('gauge', 'perdure_store_ready', [[gauges.isReady ? 1 : 0]]),
    family('counter', 'perdure_store_appends_total', [[metrics.appends]]),
    family('counter', 'perdure_store_events_appended_total', [[metrics.eventsAppended]]),
    family('counter', 'perdure_store_refusals_total', refusals),
    family('counter', 'perdure_store_written_bytes_total', [[metrics.writtenBytes]]),
    family('counter', 'perdure_store_events_read_total', [[metrics.eventsRead]]),
    syncHistogram(metrics),
    family('gauge', 'perdure_store_calls_open', calls),
    family('gauge', 'perdure_store_subscriptions', [[metrics.subscriptions]]),
    family('gauge', 'perdure_store_connections', [[gauges.connections]]),
    family('gauge', 'perdure_store_http2_sessions', [[gauges.http2Sessions]]),
    ...(log === undefined
      ? []
      : [
          family('gauge', 'perdure_store_log_bytes', [[log.bytes]]),
          family('gauge', 'perdure_store_streams', [[log.streams]]),
          family('gauge', 'perdure_store_events', [[log.events]]),
        ]),
    family('gauge', 'process_resident_memory_bytes', [[memory.rss]]),
    family('gauge', 'nodejs_heap_used_bytes', [[memory.heapUsed]]),
    family('gauge', 'nodejs_external_memory_bytes', [[memory.external]]),
  ];
  return `${families.join('\n')}\n`;
}
