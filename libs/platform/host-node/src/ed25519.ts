import { createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import { Terminal, type Signatures, type SigningKey } from '@perdure/kernel';

/** RFC 8032: keys have 32 bytes, signatures 64. */
const KEY_BYTES = 32;
/** RFC 8410: what stands before the bytes of a key in its PKCS #8 and SPKI forms. */
const PRIVATE_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
const PUBLIC_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
/** Public keys kept in parsed form: that of the signer, and those of approvers. */
const PARSED_MAX = 1_000;

const parsed = new Map<string, KeyObject | undefined>();

export const ed25519: Signatures = {
  verify: (publicKey, text, signature) => {
    const key = publicKeyOf(publicKey);
    if (key === undefined) return false;
    try {
      return verify(null, Buffer.from(text, 'utf8'), key, Buffer.from(signature, 'base64'));
    } catch {
      return false;
    }
  },
};

/** @throws Terminal `InvalidKey` unless it has 32 bytes */
export function signingKeyOf(seed: Buffer): SigningKey {
  if (seed.length !== KEY_BYTES)
    throw new Terminal('InvalidKey', `A private key of Ed25519 has ${KEY_BYTES} bytes; this one has ${seed.length}.`);
  const key = createPrivateKey({ key: Buffer.concat([PRIVATE_PREFIX, seed]), format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
  return {
    publicKey: spki.subarray(PUBLIC_PREFIX.length).toString('base64'),
    sign: (text) => sign(null, Buffer.from(text, 'utf8'), key).toString('base64'),
  };
}

function publicKeyOf(text: string): KeyObject | undefined {
  if (parsed.has(text)) return parsed.get(text);
  if (parsed.size >= PARSED_MAX) parsed.clear();
  const key = parse(text);
  parsed.set(text, key);
  return key;
}

function parse(text: string): KeyObject | undefined {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length !== KEY_BYTES) return undefined;
  try {
    return createPublicKey({ key: Buffer.concat([PUBLIC_PREFIX, bytes]), format: 'der', type: 'spki' });
  } catch {
    return undefined;
  }
}
