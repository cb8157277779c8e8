import { readdirSync, readFileSync } from 'node:fs';
import { fold, type RecordedEvent } from '@perdure/kernel';
import { MemoryKeyRing } from '@perdure/platform-keys-memory';
import { scheduleAddress, scheduleStream, type ScheduleEvent } from '@perdure/schedule-contract';
import { evolve, noSchedule, type ScheduleState } from '@perdure/schedule-domain';
import { ManualHost } from '@perdure/testing';
import { ScheduleCodec } from './schedule.codec';

const FOLDER = 'libs/schedule/contract/golden';
const address = scheduleAddress('acme', 'morning');
/** Words of payloads in the samples. */
const SECRETS = ['holidays', 'short', 'Nobody has registered', '"details":{"name"'];
const provenance = { commandId: 'c1', actor: 'ann', generation: 1 };

interface Sample {
  readonly type: string;
  readonly data: unknown;
  readonly metadata: { readonly keyId?: string };
}

const samples = readdirSync(FOLDER)
  .sort()
  .map((file) => JSON.parse(readFileSync(`${FOLDER}/${file}`, 'utf8')) as Sample);

const recorded = ({ type, data, metadata }: { type: string; data: unknown; metadata: unknown }): RecordedEvent => ({
  id: 'e1',
  stream: scheduleStream.build(address),
  revision: 0,
  position: { commit: '0', prepare: '0' },
  recordedAtMs: 0,
  type,
  data,
  metadata,
});

describe('what is stored of schedules', () => {
  const host = new ManualHost();

  it.each(samples.filter(({ metadata }) => metadata.keyId === undefined))('$type is read as it was written', async (sample) => {
    const codec = new ScheduleCodec({ host });
    const { type, data } = sample;
    const event = await codec.decode(address, recorded(sample));
    expect(event).toEqual({ type, data });
    const stored = await codec.encode(address, event, provenance);
    expect(await codec.decode(address, recorded(stored))).toEqual({ type, data });
  });

  it.each(samples)('$type is sealed, and opened to what it was', async ({ type, data }) => {
    const keys = new MemoryKeyRing();
    const codec = new ScheduleCodec({ host, keys });
    const created = samples.find((sample) => sample.type === 'ScheduleCreated');
    await codec.encode(address, { type: 'ScheduleCreated', data: created?.data } as ScheduleEvent, provenance);
    const event = { type, data } as ScheduleEvent;
    const stored = await codec.encode(address, event, provenance);
    expect(await codec.decode(address, recorded(stored))).toEqual(event);
    await codec.erase(address, 1);
    const erased = await codec.decode(address, recorded(stored));
    expect(erased.type).toBe(type);
    for (const secret of SECRETS) expect(JSON.stringify(erased)).not.toContain(secret);
  });

  it('is refused when a newer version wrote it', async () => {
    const codec = new ScheduleCodec({ host });
    const [sample] = samples;
    const newer = { ...sample, metadata: { ...sample?.metadata, schemaVersion: 2 } } as Sample;
    await expect(codec.decode(address, recorded(newer))).rejects.toThrow('a newer version wrote it');
    await expect(codec.decode(address, recorded({ ...newer, type: 'ScheduleMoved' }))).rejects.toThrow('ScheduleMoved');
  });

  it('folds, as the samples have it', async () => {
    const order = ['ScheduleCreated', 'BackfillRequested', 'BackfillEnded', 'FiringsMissed', 'FiringStarted', 'FiringEnded'];
    const codec = new ScheduleCodec({ host });
    const due = samples.find(({ type }) => type === 'FiringDue');
    const facts = [...order.slice(0, 4).map((type) => samples.find((sample) => sample.type === type)), due].concat(
      order.slice(4).map((type) => samples.find((sample) => sample.type === type)),
    );
    const events = await Promise.all(facts.map((sample) => codec.decode(address, recorded(sample as Sample))));
    const state = fold({ evolve }, noSchedule as ScheduleState, events);
    expect(state).toMatchObject({ status: 'live', missed: 1_000, completed: 1, open: [], backfills: [] });
  });
});
