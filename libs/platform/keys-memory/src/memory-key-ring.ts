import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { Terminal, token, type KeyRing } from '@perdure/kernel';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export class MemoryKeyRing implements KeyRing {
  /** Undefined as a value: erased, and taken for ever. */
  private readonly keys = new Map<string, Buffer | undefined>();

  async create(tenant: string, keyId: string): Promise<void> {
    const id = idOf(tenant, keyId);
    if (!this.keys.has(id)) this.keys.set(id, randomBytes(32));
  }

  async seal(tenant: string, keyId: string, plain: string): Promise<string | undefined> {
    const key = this.keys.get(idOf(tenant, keyId));
    if (key === undefined) return undefined;
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', key, nonce);
    const sealed = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64');
  }

  async open(tenant: string, keyId: string, sealed: string): Promise<string | undefined> {
    const key = this.keys.get(idOf(tenant, keyId));
    if (key === undefined) return undefined;
    try {
      const bytes = Buffer.from(sealed, 'base64');
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
      decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
      return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]).toString('utf8');
    } catch (cause) {
      throw new Terminal('SealBroken', 'What was sealed does not open: altered, or sealed with another key.', { cause });
    }
  }

  async erase(tenant: string, keyId: string): Promise<void> {
    const id = idOf(tenant, keyId);
    if (this.keys.has(id)) this.keys.set(id, undefined);
  }
}

function idOf(tenant: string, keyId: string): string {
  return `${token(tenant, 'tenant')}/${token(keyId, 'key id')}`;
}
