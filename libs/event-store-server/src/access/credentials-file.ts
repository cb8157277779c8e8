import { closeSync, fstatSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { EventStoreServerError, errorCodeOf } from '../errors';
import { type PasswordHash, hashPassword, isPasswordHash } from './password-hash';

// The users of the server, in a file of their own. It holds no password, only salted hashes; still nobody but its
// owner reads it. It is replaced as a whole, so that a reader never finds half of it.

const FORMAT_NAME = 'perdure-store-credentials';
const FORMAT_VERSION = 1;
const FILE_BYTES_MAX = 4 * 1024 * 1024;
export const LOGIN_LENGTH_MAX = 256;
export const PASSWORD_LENGTH_MAX = 1024;
const OWNER_ONLY = 0o600;
const WRITABLE_BY_OTHERS = 0o022;
/** A colon ends the login in HTTP Basic; names that begin with `$` are groups with a meaning. */
const LOGIN = /^[^$:\p{Cc}\s][^:\p{Cc}]*$/u;
const GROUP = /^[^\p{Cc}\s]+$/u;

export interface StoredUser {
  readonly login: string;
  readonly groups: readonly string[];
  readonly disabled: boolean;
  readonly password: PasswordHash;
}

/** @throws EventStoreServerError `CredentialsUnusable` */
export function readCredentials(path: string): readonly StoredUser[] {
  const text = readProtected(path);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw unusable(path, 'is not JSON');
  }
  const { format, version, users } = (parsed ?? {}) as { format?: unknown; version?: unknown; users?: unknown };
  if (format !== FORMAT_NAME || version !== FORMAT_VERSION)
    throw unusable(path, `is not a credentials file of version ${FORMAT_VERSION}`);
  if (!Array.isArray(users) || !users.every(isStoredUser)) throw unusable(path, 'holds a user that is not complete');
  if (new Set(users.map(({ login }) => login)).size < users.length) throw unusable(path, 'names a login twice');
  return users;
}

function readProtected(path: string): string {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch (error) {
    throw unusable(path, `cannot be read (${errorCodeOf(error) ?? String(error)})`);
  }
  try {
    const { mode, size } = fstatSync(descriptor);
    if (process.platform !== 'win32' && (mode & WRITABLE_BY_OTHERS) !== 0)
      throw unusable(path, 'may be written by others than its owner: take that away (chmod 600)');
    if (size > FILE_BYTES_MAX) throw unusable(path, `has more than ${FILE_BYTES_MAX} bytes`);
    return readFileSync(descriptor, 'utf8');
  } finally {
    closeSync(descriptor);
  }
}

function isStoredUser(value: unknown): value is StoredUser {
  if (value === null || typeof value !== 'object') return false;
  const { login, groups, disabled, password } = value as Partial<Record<keyof StoredUser, unknown>>;
  const hasGroups = Array.isArray(groups) && groups.every((group) => typeof group === 'string' && GROUP.test(group));
  return typeof login === 'string' && isLogin(login) && hasGroups && typeof disabled === 'boolean' && isPasswordHash(password);
}

function isLogin(login: string): boolean {
  return login.length <= LOGIN_LENGTH_MAX && LOGIN.test(login);
}

function unusable(path: string, why: string): EventStoreServerError {
  return new EventStoreServerError(
    'CredentialsUnusable',
    `The credentials file ${path} ${why}. \`perdure store user\` writes it.`,
  );
}

export type UserChange =
  | { readonly kind: 'set'; readonly password: string; readonly groups?: readonly string[] | undefined }
  | { readonly kind: 'disable' | 'remove' };

export interface ChangeOfUser {
  readonly file: string;
  readonly login: string;
  readonly change: UserChange;
}

/**
 * Adds, changes, disables or removes one user. Setting a password enables the login again and keeps its groups, unless
 * others are given. A server that uses the file notices by itself.
 * @throws EventStoreServerError whose one-line message says what to do
 */
export async function changeUser({ file, login, change }: ChangeOfUser): Promise<void> {
  checkUser(login, change);
  const password = change.kind === 'set' ? await hashPassword(change.password) : undefined;
  const temporary = `${file}.new`;
  const descriptor = openNew(temporary);
  try {
    const users = exists(file) ? readCredentials(file) : [];
    const known = users.find((user) => user.login === login);
    const others = users.filter((user) => user.login !== login);
    const changed = changedUser({ known, login, change, password });
    const all = changed === undefined ? others : [...others, changed];
    writeSync(descriptor, `${JSON.stringify({ format: FORMAT_NAME, version: FORMAT_VERSION, users: all }, undefined, 2)}\n`);
    fsyncSync(descriptor);
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(descriptor);
  }
  syncFolder(dirname(file));
}

function changedUser(options: {
  readonly known: StoredUser | undefined;
  readonly login: string;
  readonly change: UserChange;
  readonly password: PasswordHash | undefined;
}): StoredUser | undefined {
  const { known, login, change, password } = options;
  if (change.kind === 'set' && password !== undefined)
    return { login, groups: change.groups ?? known?.groups ?? [], disabled: false, password };
  if (known === undefined) throw new EventStoreServerError('UserRefused', `There is no login ${login}: check its spelling.`);
  return change.kind === 'disable' ? { ...known, disabled: true } : undefined;
}

function checkUser(login: string, change: UserChange): void {
  const refuse = (message: string): never => {
    throw new EventStoreServerError('UserRefused', message);
  };
  if (!isLogin(login))
    refuse(`A login has 1 to ${LOGIN_LENGTH_MAX} characters, no colon, and does not begin with $ or a space: choose another.`);
  if (change.kind !== 'set') return;
  if (change.password === '' || change.password.length > PASSWORD_LENGTH_MAX)
    refuse(`A password has 1 to ${PASSWORD_LENGTH_MAX} characters: give one on standard input.`);
  if (change.groups?.some((group) => !GROUP.test(group))) refuse('The name of a group has no spaces: choose another.');
}

function openNew(path: string): number {
  try {
    return openSync(path, 'wx', OWNER_ONLY);
  } catch (error) {
    const advice =
      errorCodeOf(error) === 'EEXIST'
        ? 'exists: another command writes it now, or one was killed. Try again, or delete that file'
        : `cannot be written (${errorCodeOf(error) ?? String(error)})`;
    throw new EventStoreServerError('CredentialsUnusable', `${path} ${advice}.`, error);
  }
}

function exists(path: string): boolean {
  try {
    closeSync(openSync(path, 'r'));
    return true;
  } catch (error) {
    return errorCodeOf(error) !== 'ENOENT';
  }
}

function syncFolder(path: string): void {
  if (process.platform === 'win32') return;
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
