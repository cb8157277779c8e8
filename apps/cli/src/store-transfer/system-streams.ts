import { CHECKPOINT_EVENT_TYPE } from '@perdure/keeper-application';
import { PUBLISHED_STREAM } from '@perdure/run-contract';

const METASTREAM_PREFIX = '$$';
/** Settings of the operator in streams of the server: default access rights, and those of the log itself. */
const KEPT = new Set(['$settings', '$$$settings', '$$$all']);

/**
 * What a server writes for itself says nothing to another one: users, statistics, scavenges, the state of persistent
 * subscriptions, what projections have made.
 */
export function isOfServer(stream: string): boolean {
  if (KEPT.has(stream)) return false;
  return (isMetastream(stream) ? stream.slice(METASTREAM_PREFIX.length) : stream).startsWith('$');
}

export function isMetastream(stream: string): boolean {
  return stream.startsWith(METASTREAM_PREFIX);
}

export function metastreamOf(stream: string): string {
  return METASTREAM_PREFIX + stream;
}

/**
 * What Perdure's own services note of places in this log: in another one they would point to other events, and facts would
 * be passed over. Without them the services read the log from its start, once.
 */
export function isOfPlaces({ stream, type }: { readonly stream: string; readonly type: string }): boolean {
  return stream === PUBLISHED_STREAM || type === CHECKPOINT_EVENT_TYPE;
}
