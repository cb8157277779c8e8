import { createHash } from 'node:crypto';
import { Terminal, token, type BlobStore } from '@perdure/kernel';

export class MemoryBlobStore implements BlobStore {
  private readonly blobs = new Map<string, string>();

  async put(tenant: string, content: string): Promise<string> {
    const reference = createHash('sha256')
      .update(`${token(tenant, 'tenant')}\n${content}`)
      .digest('hex');
    this.blobs.set(keyOf(tenant, reference), content);
    return reference;
  }

  async get(tenant: string, reference: string): Promise<string | undefined> {
    return this.blobs.get(keyOf(tenant, reference));
  }

  async delete(tenant: string, reference: string): Promise<void> {
    this.blobs.delete(keyOf(tenant, reference));
  }
}

function keyOf(tenant: string, reference: string): string {
  if (!/^[0-9a-f]{64}$/.test(reference)) throw new Terminal('InvalidName', 'A blob reference is 64 hexadecimal digits.');
  return `${token(tenant, 'tenant')}/${reference}`;
}
