import { readdirSync, readFileSync } from 'node:fs';
import { readRegistration, SCHEMA_VERSION } from './upcasters';

/** What each version of each event looked like when it was first written. Never edited, only added to. */
const GOLDEN = 'libs/tenant/contract/golden';
const files = readdirSync(GOLDEN).sort();

describe('what is stored of a tenant', () => {
  it.each(files)('%s is read by this build', (file) => {
    const sample = JSON.parse(readFileSync(`${GOLDEN}/${file}`, 'utf8')) as { readonly data: object; readonly metadata: object };
    expect(readRegistration(sample)).toMatchObject({ manifest: { buildId: 'b-1', tools: [{ name: 'charge' }] } });
  });

  it('has a golden sample of every version', () => {
    const expected = Array.from({ length: SCHEMA_VERSION }, (_, index) => `BuildRegistered.v${index + 1}.json`);
    expect(files).toEqual(expected);
  });

  it('is refused when a later version wrote it', () => {
    const later = { data: {}, metadata: { schemaVersion: SCHEMA_VERSION + 1 } };
    expect(() => readRegistration(later)).toThrow('Upgrade');
  });
});
