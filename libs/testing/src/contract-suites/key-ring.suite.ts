import type { KeyRing } from '@perdure/kernel';

/** What every KeyRing must do. `open` gives an empty ring. */
export function describeKeyRing(adapter: string, open: () => Promise<KeyRing>): void {
  describe(`${adapter} as a KeyRing`, () => {
    async function seal(ring: KeyRing, [tenant, keyId]: readonly [string, string], plain: string): Promise<string> {
      const sealed = await ring.seal(tenant, keyId, plain);
      if (sealed === undefined) throw new TypeError('the key is there, yet it seals nothing');
      return sealed;
    }

    it('opens what it sealed', async () => {
      const ring = await open();
      await ring.create('acme', 'run-1');
      const sealed = await seal(ring, ['acme', 'run-1'], 'päyload');
      expect(sealed).not.toContain('payload');
      expect(await ring.open('acme', 'run-1', sealed)).toBe('päyload');
    });

    it('never seals the same text to the same bytes', async () => {
      const ring = await open();
      await ring.create('acme', 'run-1');
      expect(await ring.seal('acme', 'run-1', 'x')).not.toBe(await ring.seal('acme', 'run-1', 'x'));
    });

    it('keeps the key when it is created again', async () => {
      const ring = await open();
      await Promise.all([ring.create('acme', 'run-1'), ring.create('acme', 'run-1')]);
      const sealed = await seal(ring, ['acme', 'run-1'], 'kept');
      await ring.create('acme', 'run-1');
      expect(await ring.open('acme', 'run-1', sealed)).toBe('kept');
    });

    it('opens nothing with the key of another run, or of another tenant', async () => {
      const ring = await open();
      for (const [tenant, keyId] of [
        ['acme', 'run-1'],
        ['acme', 'run-2'],
        ['rival', 'run-1'],
      ] as const)
        await ring.create(tenant, keyId);
      const sealed = await seal(ring, ['acme', 'run-1'], 'mine');
      await expect(ring.open('acme', 'run-2', sealed)).rejects.toMatchObject({ code: 'SealBroken' });
      await expect(ring.open('rival', 'run-1', sealed)).rejects.toMatchObject({ code: 'SealBroken' });
    });

    it('refuses what was altered', async () => {
      const ring = await open();
      await ring.create('acme', 'run-1');
      const sealed = await seal(ring, ['acme', 'run-1'], 'whole');
      const altered = `${sealed.slice(0, -6)}${sealed.at(-6) === 'A' ? 'B' : 'A'}${sealed.slice(-5)}`;
      await expect(ring.open('acme', 'run-1', altered)).rejects.toMatchObject({ code: 'SealBroken' });
      await expect(ring.open('acme', 'run-1', 'not sealed at all')).rejects.toMatchObject({ code: 'SealBroken' });
    });

    it('opens and seals nothing after the key was erased, for ever', async () => {
      const ring = await open();
      await ring.create('acme', 'run-1');
      const sealed = await seal(ring, ['acme', 'run-1'], 'gone');
      await ring.erase('acme', 'run-1');
      await ring.erase('acme', 'run-1');
      expect(await ring.open('acme', 'run-1', sealed)).toBeUndefined();
      expect(await ring.seal('acme', 'run-1', 'again')).toBeUndefined();
      await ring.create('acme', 'run-1');
      expect(await ring.open('acme', 'run-1', sealed)).toBeUndefined();
    });

    it('knows nothing of a key that was never created', async () => {
      const ring = await open();
      expect(await ring.seal('acme', 'never', 'x')).toBeUndefined();
    });
  });
}
