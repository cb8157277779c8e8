import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { Terminal } from '@perdure/kernel';

/** NIST SP 800-38D: 96-bit nonces, full 128-bit tags; a random nonce is safe for 2^32 seals under one key. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
export const KEY_BYTES = 32;

/** Says which form this is, should another one follow. */
const FORM = 'v1.';

/** `context` is authenticated, not stored: what was sealed for one place opens in no other. */
export function sealBytes(key: Uint8Array, plain: Uint8Array, context: string): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context, 'utf8'));
  const sealed = Buffer.concat([cipher.update(plain), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), sealed]);
}

/** @throws Terminal `SealBroken` when key or context is another, or the bytes were altered */
export function openBytes(key: Uint8Array, sealed: Uint8Array, context: string): Buffer {
  try {
    const nonce = sealed.subarray(0, NONCE_BYTES);
    const tag = sealed.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES);
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(Buffer.from(context, 'utf8')).setAuthTag(tag);
    return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]);
  } catch (error) {
    throw broken(context, error);
  }
}

export function sealText(key: Uint8Array, plain: string, context: string): string {
  return FORM + sealBytes(key, Buffer.from(plain, 'utf8'), context).toString('base64');
}

export function openText(key: Uint8Array, sealed: string, context: string): string {
  if (!sealed.startsWith(FORM)) throw broken(context);
  return openBytes(key, Buffer.from(sealed.slice(FORM.length), 'base64'), context).toString('utf8');
}

function broken(context: string, cause?: unknown): Terminal {
  return new Terminal('SealBroken', `What was sealed for ${context} does not open: altered, or sealed with another key.`, {
    cause,
    details: { context },
  });
}
