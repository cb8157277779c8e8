import { readdirSync, readFileSync } from 'node:fs';
import { runEventSchemas, type RunEventType } from '@perdure/run-contract';
import { SCHEMA_VERSION, upcast } from './upcasters';

/** A further sample of a type shows fields that came later; the version of its shape is in its metadata. */
const GOLDEN = 'libs/run/contract/golden';

interface Sample {
  readonly type: RunEventType;
  readonly data: unknown;
  readonly metadata: { readonly schemaVersion: number };
}

const sampleIn = (file: string): Sample => JSON.parse(readFileSync(`${GOLDEN}/${file}`, 'utf8')) as Sample;

describe('what is stored of a run', () => {
  it.each(readdirSync(GOLDEN))('%s is read as the present shape', (file) => {
    const { type, data, metadata } = sampleIn(file);
    const present = upcast(type, metadata.schemaVersion, data);
    expect(runEventSchemas[type].strict().safeParse(present).error).toBeUndefined();
  });

  it('is refused when a later version wrote it', () => {
    expect(() => upcast('RunPaused', SCHEMA_VERSION + 1, { reason: 'x' })).toThrow('Upgrade');
  });
});
