import { readdirSync, readFileSync } from 'node:fs';
import { isScheduleEventType, SCHEDULE_EVENT_TYPES, scheduleEventMetadata, scheduleEventSchemas } from './events';
import { scheduleSpec, whenRule } from './spec';

/** Beside src/: what each version of each event looked like when it was first written. Never edited, only added to. */
const FOLDER = 'libs/schedule/contract/golden';
const FILE = /^([A-Za-z]+)\.v(\d+)\.json$/;

interface Sample {
  readonly type: string;
  readonly data: object;
  readonly metadata: object;
}

const files = readdirSync(FOLDER).sort();

function versionsOf(type: string): number[] {
  const versions = files.flatMap((file) => {
    const [, named, version] = FILE.exec(file) ?? [];
    return named === type ? [Number(version)] : [];
  });
  return versions.sort((left, right) => left - right);
}

function sampleIn(file: string): Sample {
  return JSON.parse(readFileSync(`${FOLDER}/${file}`, 'utf8')) as Sample;
}

const newestOf = (type: string): Sample => sampleIn(`${type}.v${versionsOf(type).at(-1) ?? 1}.json`);
const keysOf = (value: object): string[] => Object.keys(value).sort();

describe('golden samples of schedules', () => {
  it.each(SCHEDULE_EVENT_TYPES)('%s has one for each version, from the first', (type) => {
    const versions = versionsOf(type);
    expect(versions).toEqual(Array.from({ length: Math.max(1, versions.length) }, (_, index) => index + 1));
  });

  it.each(files)('%s is of a type that exists', (file) => {
    const [, type] = FILE.exec(file) ?? [];
    const sample = sampleIn(file);
    expect({ type, known: isScheduleEventType(sample.type) }).toEqual({ type: sample.type, known: true });
  });

  it.each(SCHEDULE_EVENT_TYPES)('the newest of %s is read and written back without loss', (type) => {
    const { data, metadata } = newestOf(type);
    expect(JSON.parse(JSON.stringify(scheduleEventSchemas[type].strict().parse(data)))).toEqual(data);
    expect(JSON.parse(JSON.stringify(scheduleEventMetadata.strict().parse(metadata)))).toEqual(metadata);
  });

  it.each(SCHEDULE_EVENT_TYPES)('the newest of %s shows every field that the type may have', (type) => {
    expect(keysOf(newestOf(type).data)).toEqual(keysOf(scheduleEventSchemas[type].shape));
  });

  it('show every field of a specification and of what it starts, and every kind of rule', () => {
    const spec = scheduleSpec.parse((newestOf('ScheduleCreated').data as { readonly spec: unknown }).spec);
    expect(keysOf(spec)).toEqual(keysOf(scheduleSpec.shape));
    expect(keysOf(spec.start)).toEqual(keysOf(scheduleSpec.shape.start.shape));
    expect(new Set(spec.when.map(({ type }) => type)).size).toBe(whenRule.options.length);
    expect(spec.except.map(({ type }) => type)).toEqual(['date', 'cron']);
  });

  it('show one that is sealed', () => {
    const { metadata } = newestOf('SchedulePaused');
    expect(keysOf(metadata)).toEqual(keysOf(scheduleEventMetadata.shape));
  });
});
