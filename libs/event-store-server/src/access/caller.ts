/** Who makes a call. */
export interface Caller {
  /** Undefined for a caller without credentials. */
  readonly login: string | undefined;
  /** The login and the groups: what access lists name. */
  readonly names: ReadonlySet<string>;
}

export const ADMINS = '$admins';
export const OPERATORS = '$ops';

export const ANONYMOUS: Caller = { login: undefined, names: new Set() };

/** Everybody, on a server without credentials: nothing is refused, as EventStoreDB does it in its insecure mode. */
export const UNRESTRICTED: Caller = { login: undefined, names: new Set([ADMINS]) };

export function callerOf(login: string, groups: readonly string[]): Caller {
  return { login, names: new Set([login, ...groups]) };
}
