/** What may be done with a stream. Its metadata has two rights of its own. */
export type StreamRight = 'read' | 'write' | 'delete' | 'metadata-read' | 'metadata-write';

/** Logins and groups by right. What is not named is left to the defaults; an empty list names nobody. */
export type StreamAcl = Readonly<Partial<Record<StreamRight, readonly string[]>>>;

/** Stream whose newest event sets the defaults of all others. */
export const SETTINGS_STREAM = '$settings';

const FIELDS: readonly (readonly [string, StreamRight])[] = [
  ['$r', 'read'],
  ['$w', 'write'],
  ['$d', 'delete'],
  ['$mr', 'metadata-read'],
  ['$mw', 'metadata-write'],
];

const NOBODY: readonly string[] = [];
/** A list that cannot be read was meant to restrict: it names nobody, which leaves the administrators. */
const CLOSED: StreamAcl = Object.fromEntries(FIELDS.map(([, right]) => [right, NOBODY]));

/** Undefined when there is none. */
export function readAcl(value: unknown): StreamAcl | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'object' || Array.isArray(value)) return CLOSED;
  const fields = value as Readonly<Record<string, unknown>>;
  const acl: Partial<Record<StreamRight, readonly string[]>> = {};
  for (const [field, right] of FIELDS) {
    const names = readNames(fields[field]);
    if (names !== undefined) acl[right] = names;
  }
  return acl;
}

function readNames(value: unknown): readonly string[] | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return [value];
  return Array.isArray(value) && value.every((name) => typeof name === 'string') ? value : NOBODY;
}

/** The defaults that an event of the settings stream sets. */
export interface AclSettings {
  readonly userStreams: StreamAcl | undefined;
  readonly systemStreams: StreamAcl | undefined;
}

export const NO_SETTINGS: AclSettings = { userStreams: undefined, systemStreams: undefined };

export function readAclSettings(text: string): AclSettings {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return NO_SETTINGS;
  }
  if (parsed === null || typeof parsed !== 'object') return NO_SETTINGS;
  const fields = parsed as Readonly<Record<string, unknown>>;
  return { userStreams: readAcl(fields['$userStreamAcl']), systemStreams: readAcl(fields['$systemStreamAcl']) };
}
