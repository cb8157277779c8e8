import { readdirSync, readFileSync } from 'node:fs';
import { eventMetadata, isRunEventType, runEventSchemas, type RunEventType } from './events';

/** Beside src/: what each version of each event looked like when it was first written. Never edited, only added to. */
const FOLDER = 'libs/run/contract/golden';
const FILE = /^([A-Za-z]+)\.v(\d+)\.json$/;

interface Sample {
  readonly type: string;
  readonly data: unknown;
  readonly metadata: unknown;
}

const files = readdirSync(FOLDER).sort();
const types = Object.keys(runEventSchemas) as RunEventType[];

function versionsOf(type: string): number[] {
  return files.flatMap((file) => {
    const [, named, version] = FILE.exec(file) ?? [];
    return named === type ? [Number(version)] : [];
  });
}

function sampleIn(file: string): Sample {
  return JSON.parse(readFileSync(`${FOLDER}/${file}`, 'utf8')) as Sample;
}

describe('golden samples', () => {
  it.each(types)('%s has one for each version, from the first', (type) => {
    const versions = versionsOf(type).sort((left, right) => left - right);
    expect(versions).toEqual(Array.from({ length: Math.max(1, versions.length) }, (_, index) => index + 1));
  });

  it.each(files)('%s is of a type that exists', (file) => {
    const sample = sampleIn(file);
    const [, type] = FILE.exec(file) ?? [];
    expect({ type, known: isRunEventType(sample.type) }).toEqual({ type: sample.type, known: true });
  });

  it.each(types)('the newest of %s is read and written back without loss', (type) => {
    const newest = Math.max(...versionsOf(type));
    const { data, metadata } = sampleIn(`${type}.v${newest}.json`);
    expect(JSON.parse(JSON.stringify(runEventSchemas[type].strict().parse(data)))).toEqual(data);
    expect(JSON.parse(JSON.stringify(eventMetadata.strict().parse(metadata)))).toEqual(metadata);
  });

  it.each(types)('the newest of %s shows every field that the type may have', (type) => {
    const { data } = sampleIn(`${type}.v${Math.max(...versionsOf(type))}.json`);
    expect(Object.keys(data as object).sort()).toEqual(Object.keys(runEventSchemas[type].shape).sort());
  });
});
