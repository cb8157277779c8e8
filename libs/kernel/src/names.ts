import { Terminal } from './errors';

/** One token of a subject or a stream name: what a broker, a store and a file system all take literally. */
const TOKEN = /^[A-Za-z0-9_-]{1,64}$/;

declare const brand: unique symbol;
export type Branded<T, B extends string> = T & { readonly [brand]: B };

/** A validated name token: tenant, run id, pool, worker id … */
export type Token = Branded<string, 'Token'>;

export function isToken(text: string): text is Token {
  return TOKEN.test(text);
}

/** @throws Terminal `InvalidName` when `text` may not be part of a subject or stream name */
export function token(text: string, what: string): Token {
  if (isToken(text)) return text;
  throw new Terminal(
    'InvalidName',
    `${what} must be 1 to 64 letters, digits, "_" or "-"; got ${JSON.stringify(text.slice(0, 80))}.`,
    { details: { what } },
  );
}

/**
 * FNV-1a, 32 bits, over the bytes of an ASCII token: the same function that the broker's
 * `partition(n, token)` mapping uses, so that a caller in any language need not hash.
 * Source: draft-eastlake-fnv, and nats-server's subject transforms.
 */
export function fnv1a32(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash ^= text.charCodeAt(index);
    hash = Math.imul(hash, 0x01000193);
  }
  return hash >>> 0;
}

/** Fixed for ever: the number of virtual partitions of run ids. */
export const PARTITIONS = 256;

export function partitionOf(id: Token): number {
  return fnv1a32(id) % PARTITIONS;
}

/** Of the names of signals that one wait alone takes, once: callbacks. */
export const CALLBACK_PREFIX = 'cb-';

/** The name of a wait for an answer of a person; no signal can have it. */
export const ASK_NAME = 'ask a person';
