import type { BlobStore } from '@perdure/kernel';

/** What every BlobStore must do. `open` gives an empty store. */
export function describeBlobStore(adapter: string, open: () => Promise<BlobStore>): void {
  describe(`${adapter} as a BlobStore`, () => {
    it('gives back what was put, to the character', async () => {
      const store = await open();
      const content = `line\n${'é€😀'.repeat(10)}\u0000 end`;
      expect(await store.get('acme', await store.put('acme', content))).toBe(content);
    });

    it('stores nothing twice: the same content has the same reference', async () => {
      const store = await open();
      const first = await store.put('acme', 'content');
      expect(await store.put('acme', 'content')).toBe(first);
      expect(await store.get('acme', first)).toBe('content');
    });

    it('takes the same content from many writers at once', async () => {
      const store = await open();
      const [first, ...others] = await Promise.all(Array.from({ length: 20 }, () => store.put('acme', 'together')));
      expect(new Set([first, ...others]).size).toBe(1);
      expect(await store.get('acme', first ?? '')).toBe('together');
    });

    it('keeps tenants apart: one cannot read, nor recognise, what another has stored', async () => {
      const store = await open();
      const reference = await store.put('acme', 'secret');
      expect(await store.get('rival', reference)).toBeUndefined();
      expect(await store.put('rival', 'secret')).not.toBe(reference);
    });

    it('says undefined for what it never had', async () => {
      const store = await open();
      expect(await store.get('acme', 'a'.repeat(64))).toBeUndefined();
    });

    it('forgets what was deleted, and does not mind a second deletion', async () => {
      const store = await open();
      const reference = await store.put('acme', 'short-lived');
      await store.delete('acme', reference);
      await store.delete('acme', reference);
      expect(await store.get('acme', reference)).toBeUndefined();
    });

    it('refuses a reference that is not one of its own making', async () => {
      const store = await open();
      await expect(store.get('acme', '../../etc/passwd')).rejects.toMatchObject({ code: 'InvalidName' });
      await expect(store.get('../acme', 'a'.repeat(64))).rejects.toMatchObject({ code: 'InvalidName' });
    });

    it('holds the empty text', async () => {
      const store = await open();
      expect(await store.get('acme', await store.put('acme', ''))).toBe('');
    });
  });
}
