import { newEventId } from './new-event-id';
import type { AppendOutcome, StoreEngine } from './store-engine';
import { METADATA_TYPE, METASTREAM_PREFIX } from './stream-limits';

const ADMINS = { $r: '$admins', $w: '$admins', $d: '$admins', $mr: '$admins', $mw: '$admins' };
const YEARS_5_SECONDS = 157_680_000;

interface SystemEvent {
  readonly stream: string;
  readonly type: string;
  readonly data: unknown;
}

/** What the log of EventStoreDB begins with: tools and tests read it, nothing here depends on it. */
const SYSTEM_EVENTS: readonly SystemEvent[] = [
  { stream: `${METASTREAM_PREFIX}$scavenges`, type: METADATA_TYPE, data: { $maxAge: YEARS_5_SECONDS, $acl: ADMINS } },
  { stream: `${METASTREAM_PREFIX}$user-admin`, type: METADATA_TYPE, data: { $acl: ADMINS } },
  { stream: '$user-admin', type: '$UserCreated', data: { loginName: 'admin', groups: ['$admins'], disabled: false } },
  { stream: '$users', type: '$User', data: 'admin' },
  { stream: `${METASTREAM_PREFIX}$user-ops`, type: METADATA_TYPE, data: { $acl: ADMINS } },
  { stream: '$user-ops', type: '$UserCreated', data: { loginName: 'ops', groups: ['$ops'], disabled: false } },
];

/** Begins a new log; one that has begun stays as it is. */
export async function beginLog(engine: StoreEngine): Promise<void> {
  if (engine.index.columns.count > 0) return;
  for (const { stream, type, data } of SYSTEM_EVENTS) {
    const event = {
      id: newEventId(),
      type,
      contentType: 'application/json',
      data: Buffer.from(JSON.stringify(data), 'utf8'),
      metadata: Buffer.alloc(0),
    };
    const outcome = await new Promise<AppendOutcome>((resolve) => {
      engine.append({ stream, expected: 'any', events: [event] }, resolve);
    });
    // A disk that is full from the start: they are missed by nobody, and the first append will say so.
    if (outcome.kind !== 'appended') return;
  }
}
