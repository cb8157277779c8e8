import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';

/** A salted scrypt hash, with all that is needed to compute it again. */
export interface PasswordHash {
  readonly scheme: 'scrypt';
  readonly cost: number;
  readonly blockSize: number;
  readonly parallelization: number;
  /** Base64, as is the hash. */
  readonly salt: string;
  readonly hash: string;
}

const SALT_BYTES = 16;
const HASH_BYTES = 32;
/** 32 MiB and about a quarter of a second: what OWASP advises, in its form with the least memory. */
const COST = 2 ** 15;
const BLOCK_SIZE = 8;
const PARALLELIZATION = 3;
/** What a credentials file may ask of this process. */
const MEMORY_BYTES_MAX = 256 * 1024 * 1024;
const PARALLELIZATION_MAX = 16;

type Work = Pick<PasswordHash, 'cost' | 'blockSize' | 'parallelization'>;

function derive(password: string, salt: Buffer, { cost, blockSize, parallelization }: Work): Promise<Buffer> {
  const options = { N: cost, r: blockSize, p: parallelization, maxmem: 2 * MEMORY_BYTES_MAX };
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFC'), salt, HASH_BYTES, options, (error, hash) => (error ? reject(error) : resolve(hash)));
  });
}

export async function hashPassword(password: string): Promise<PasswordHash> {
  const salt = randomBytes(SALT_BYTES);
  const work = { cost: COST, blockSize: BLOCK_SIZE, parallelization: PARALLELIZATION };
  const hash = await derive(password, salt, work);
  return { scheme: 'scrypt', ...work, salt: salt.toString('base64'), hash: hash.toString('base64') };
}

/** Takes as long for a wrong password as for the right one. */
export async function verifyPassword(password: string, stored: PasswordHash): Promise<boolean> {
  const hash = await derive(password, Buffer.from(stored.salt, 'base64'), stored);
  return timingSafeEqual(hash, Buffer.from(stored.hash, 'base64'));
}

/** No password has it: for a login that does not exist, whose refusal must take as long as any other. */
export const UNKNOWN_LOGIN: PasswordHash = {
  scheme: 'scrypt',
  cost: COST,
  blockSize: BLOCK_SIZE,
  parallelization: PARALLELIZATION,
  salt: Buffer.alloc(SALT_BYTES).toString('base64'),
  hash: randomBytes(HASH_BYTES).toString('base64'),
};

export function isPasswordHash(value: unknown): value is PasswordHash {
  if (value === null || typeof value !== 'object') return false;
  const { scheme, cost, blockSize, parallelization, salt, hash } = value as Partial<Record<keyof PasswordHash, unknown>>;
  if (scheme !== 'scrypt' || typeof salt !== 'string' || typeof hash !== 'string') return false;
  if (!isCount(cost) || !isCount(blockSize) || !isCount(parallelization)) return false;
  const isPower = Number.isInteger(Math.log2(cost)) && cost > 1;
  const isBounded = 128 * cost * blockSize <= MEMORY_BYTES_MAX && parallelization <= PARALLELIZATION_MAX;
  return isPower && isBounded && Buffer.from(hash, 'base64').length === HASH_BYTES;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0;
}
