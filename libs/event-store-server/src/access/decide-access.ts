import type { AclSettings, StreamAcl, StreamRight } from '../engine/stream-acl';
import { describedStream } from '../engine/stream-limits';
import { ADMINS, type Caller, OPERATORS, UNRESTRICTED } from './caller';

/** In access lists: everybody who has credentials. */
export const EVERYBODY = '$all';
/** The whole log, where a stream is named. */
export const LOG = '$all';

export type StreamAction = 'read' | 'write' | 'delete';

/** What is needed for a call. */
export type Need =
  | { readonly action: StreamAction; readonly stream: string }
  /** Running the server: its figures, its maintenance. */
  | { readonly action: 'operate' }
  | { readonly action: 'administer' };

export interface KnownAcls {
  /** From the metadata of a stream. */
  aclOf(stream: string): StreamAcl | undefined;
  settings(): AclSettings;
}

const DEFAULT_USER_NAMES: readonly string[] = [EVERYBODY];
const DEFAULT_SYSTEM_NAMES: readonly string[] = [ADMINS];

/** The rules of EventStoreDB, in its order. */
export function isAllowed(caller: Caller, need: Need, acls: KnownAcls): boolean {
  if (caller === UNRESTRICTED) return true;
  if (caller.login === undefined) return false;
  const isAdmin = caller.names.has(ADMINS);
  if (need.action === 'administer') return isAdmin;
  if (need.action === 'operate') return isAdmin || caller.names.has(OPERATORS);
  const target = targetOf(need.action, need.stream);
  if (target === undefined) return false;
  if (isAdmin) return true;
  const names = namesFor(target.right, target.stream, acls);
  return names.includes(EVERYBODY) || names.some((name) => caller.names.has(name));
}

/** Rights on a metastream are rights on the stream that it describes. Undefined for what nobody may do. */
function targetOf(action: StreamAction, stream: string): { readonly right: StreamRight; readonly stream: string } | undefined {
  if (stream === LOG && action !== 'read') return undefined;
  const described = describedStream(stream);
  if (described === undefined) return { right: action, stream };
  if (action === 'delete') return undefined;
  return { right: action === 'read' ? 'metadata-read' : 'metadata-write', stream: described };
}

function namesFor(right: StreamRight, stream: string, acls: KnownAcls): readonly string[] {
  // Metadata of metadata has no effect.
  const own = describedStream(stream) === undefined ? acls.aclOf(stream)?.[right] : undefined;
  if (own !== undefined) return own;
  const { userStreams, systemStreams } = acls.settings();
  if (stream.startsWith('$')) return systemStreams?.[right] ?? DEFAULT_SYSTEM_NAMES;
  return userStreams?.[right] ?? DEFAULT_USER_NAMES;
}
