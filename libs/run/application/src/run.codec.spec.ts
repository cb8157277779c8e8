import { readdirSync, readFileSync } from 'node:fs';
import { InvariantViolated, type RecordedEvent } from '@perdure/kernel';
import { BLOB_THRESHOLD_BYTES, runAddress, runStream, type RunEvent, type RunEventType } from '@perdure/run-contract';
import { MemoryBlobStore } from '@perdure/platform-blob-memory';
import { MemoryKeyRing } from '@perdure/platform-keys-memory';
import { decision, fact, ManualHost, moves, playRun, requested, START_MS } from '@perdure/testing';
import * as fc from 'fast-check';
import { ERASED, RunCodec } from './run.codec';

const address = runAddress('acme', 'run1');
const provenance = { commandId: 'c1', actor: 'user:ann', traceparent: undefined };
const GOLDEN = 'libs/run/contract/golden';
const SECRET = 'the secret ingredient is thyme';

interface World {
  readonly codec: RunCodec;
  readonly keys: MemoryKeyRing | undefined;
  /** Everything that was ever handed to the blob store. */
  readonly kept: string[];
  readonly blobs: MemoryBlobStore;
}

class WatchedBlobs extends MemoryBlobStore {
  readonly kept: string[] = [];
  override put(tenant: string, content: string): Promise<string> {
    this.kept.push(content);
    return super.put(tenant, content);
  }
}

async function world(sealing = false): Promise<World> {
  const blobs = new WatchedBlobs();
  const keys = sealing ? new MemoryKeyRing() : undefined;
  await keys?.create(address.tenant, address.runId);
  const codec = new RunCodec({ blobs, host: new ManualHost(), ...(keys === undefined ? {} : { keys }) });
  return { codec, keys, kept: blobs.kept, blobs };
}

/** As the store would give it back: through JSON. */
async function stored({ codec }: World, event: RunEvent): Promise<RecordedEvent> {
  const encoded = await codec.encode(address, { event, provenance });
  const json = JSON.parse(JSON.stringify(encoded)) as typeof encoded;
  return {
    ...json,
    stream: runStream.build(address),
    revision: 0,
    position: { commit: '0', prepare: '0' },
    recordedAtMs: START_MS,
  };
}

const through = async (given: World, event: RunEvent): Promise<RunEvent> =>
  given.codec.decode(address, await stored(given, event));
const tells = (value: unknown): boolean => JSON.stringify(value).includes('thyme');
const large = (text = 'x') => text.repeat(BLOB_THRESHOLD_BYTES + 1);

function golden(): RunEvent[] {
  return readdirSync(GOLDEN).map((file) => {
    const { type, data, metadata } = JSON.parse(readFileSync(`${GOLDEN}/${file}`, 'utf8')) as RecordedEvent & {
      metadata: { report?: object };
    };
    return { type, data, ...(metadata.report === undefined ? {} : { report: metadata.report }) } as RunEvent;
  });
}

describe.each([false, true])('facts through the codec, sealed: %s', (sealing) => {
  it.each(golden().map((event) => [event.type, event] as const))('%s comes back as it was', async (_, event) => {
    expect(await through(await world(sealing), event)).toEqual(event);
  });

  it('of random histories come back as they were', async () => {
    const given = await world(sealing);
    const seeds = fc.sample(moves, { numRuns: 20, seed: 7 });
    for (const kind of ['workflow', 'agent'] as const) {
      for (const event of seeds.flatMap((seed) => playRun(kind, seed).events)) expect(await through(given, event)).toEqual(event);
    }
  });

  it.each<[string, unknown]>([
    ['a large text', large()],
    ['a large text in another script', large('語')],
    ['nothing', null],
    ['an empty text', ''],
    ['what looks like a stand-in', { blob: 'f'.repeat(64), at: 'input' }],
    ['what looks like the mark of erasure', ERASED],
    ['fields with dots and stars in their names', { 'a.b': { '*': large() } }],
    ['a field named like those of objects', JSON.parse('{"__proto__": {"a": 1}, "constructor": 2}')],
  ])('hold %s in a payload', async (_, input) => {
    const given = await world(sealing);
    expect(JSON.stringify((await through(given, requested({ input }))).data)).toBe(JSON.stringify(requested({ input }).data));
    const step = fact('StepsRecorded', {
      entries: [
        { type: 'value', call: '1', name: 'v', value: input },
        { type: 'step', call: '2', name: 's', outcome: { ok: true, value: input } },
      ],
    });
    expect(JSON.stringify(await through(given, step))).toBe(JSON.stringify(step));
  });

  it('do not change what the domain holds', async () => {
    const event = requested({ input: { text: large() } });
    const before = JSON.stringify(event);
    await through(await world(sealing), event);
    expect(JSON.stringify(event)).toBe(before);
  });
});

describe('large payloads', () => {
  it('are in the blob store before the event refers to them', async () => {
    const given = await world();
    const recorded = await stored(given, requested({ input: large() }));
    expect(JSON.stringify(recorded).length).toBeLessThan(2_000);
    expect(given.kept).toEqual([JSON.stringify(large())]);
  });

  it('that are gone decode to nothing, not to an error', async () => {
    const given = await world();
    const recorded = await stored(given, requested({ input: large() }));
    await given.blobs.delete('acme', (recorded.metadata as { payloads: { blob: string }[] }).payloads[0]?.blob ?? '');
    expect(await given.codec.decode(address, recorded)).toEqual(requested({ input: ERASED }));
  });

  it('of many entries leave one by one', async () => {
    const given = await world();
    const entries = Array.from({ length: 100 }, (_, n) => ({
      type: 'value' as const,
      call: `${n}`,
      name: 'v',
      value: 'y'.repeat(2_000),
    }));
    const recorded = await stored(given, fact('StepsRecorded', { entries }));
    expect(JSON.stringify(recorded).length).toBeLessThan(40_000);
    expect(await given.codec.decode(address, recorded)).toEqual(fact('StepsRecorded', { entries }));
  });
});

const secretive: readonly RunEvent[] = [
  requested({ input: { text: SECRET } }),
  requested({ input: [SECRET] }),
  requested({ input: SECRET + large() }),
  fact('StepsRecorded', {
    entries: [
      { type: 'value', call: '1', name: 'v', value: SECRET },
      { type: 'step', call: '2', name: 's', outcome: { ok: true, value: [SECRET] } },
      {
        type: 'step',
        call: '3',
        name: 's',
        outcome: { ok: false, error: { code: 'E', message: SECRET, reaction: 'terminal', details: { why: SECRET } } },
      },
    ],
  }),
  fact('ModelCallCompleted', {
    call: 't1',
    attempt: 1,
    decision: decision({ text: SECRET, toolCalls: [{ toolCallId: 'a', tool: 'pay', args: SECRET }] }),
  }),
  fact('ModelCallFailed', {
    call: 't1',
    attempt: 1,
    error: { code: 'E', message: SECRET, reaction: 'retryable', details: { why: SECRET } },
    retryAtMs: 1,
  }),
  fact('EffectIntended', { call: '1', tool: 'pay', effectClass: 'pure', args: { SECRET }, argsHash: 'h', intendedAtMs: 1 }),
  fact('EffectConfirmed', { call: '1', attempt: 1, result: SECRET }),
  fact('EffectFailed', {
    call: '1',
    attempt: 1,
    error: { code: 'E', message: SECRET, reaction: 'terminal', details: { why: SECRET } },
  }),
  fact('RunCompleted', { output: SECRET, endedAtMs: 1 }),
  fact('RunFailed', { error: { code: 'E', message: SECRET, reaction: 'terminal', details: { why: SECRET } }, endedAtMs: 1 }),
];

describe.each(secretive.map((event, index) => [`${index} ${event.type}`, event] as const))('sealing %s', (_, event) => {
  it('leaves no payload in clear, neither in the event nor in a blob', async () => {
    const given = await world(true);
    const recorded = await stored(given, event);
    expect(tells(recorded) || tells(given.kept)).toBe(false);
    expect(await given.codec.decode(address, recorded)).toEqual(event);
  });

  it('decodes to a marker when the key is gone: the fold goes on', async () => {
    const given = await world(true);
    const recorded = await stored(given, event);
    await given.keys?.erase(address.tenant, address.runId);
    const decoded = await given.codec.decode(address, recorded);
    expect(decoded.type).toBe(event.type);
    expect(tells(decoded)).toBe(false);
  });

  it('lets nothing out after the key is gone', async () => {
    const given = await world(true);
    await given.keys?.erase(address.tenant, address.runId);
    const recorded = await stored(given, event);
    expect(tells(recorded) || tells(given.kept)).toBe(false);
    expect((await given.codec.decode(address, recorded)).type).toBe(event.type);
  });
});

describe('the events of one append', () => {
  it('stay within what the store takes, whatever their payloads are', async () => {
    const given = await world();
    const facts = Array.from({ length: 60 }, (_, n) => ({
      event: fact('EffectConfirmed', { call: `${n}`, attempt: 1, result: '語'.repeat(60_000) + n }) as RunEvent,
      provenance,
    }));
    const { stored } = await given.codec.encodeAll(address, facts);
    expect(Buffer.byteLength(JSON.stringify(stored))).toBeLessThan(100_000);
    expect(stored.map(({ id }) => id)).toEqual([...new Set(stored.map(({ id }) => id))]);
  });

  it('stay as they are when they are small', async () => {
    const given = await world();
    const facts = [requested(), requested()].map((event) => ({ event, provenance }));
    expect((await given.codec.encodeAll(address, facts)).stored.map(({ data }) => data)).toEqual([
      requested().data,
      requested().data,
    ]);
    expect(given.kept).toEqual([]);
  });
});

describe('erased text', () => {
  it('says so where text is expected', async () => {
    const given = await world(true);
    const recorded = await stored(
      given,
      fact('RunFailed', { error: { code: 'E', message: SECRET, reaction: 'terminal' }, endedAtMs: 1 }),
    );
    await given.keys?.erase(address.tenant, address.runId);
    expect(await given.codec.decode(address, recorded)).toMatchObject({ data: { error: { message: ERASED } } });
  });
});

describe('what this build cannot read', () => {
  const recordedOf = async (change: Partial<RecordedEvent>) => ({ ...(await stored(await world(), requested())), ...change });

  it.each<[string, Partial<RecordedEvent>]>([
    ['a type that it does not know', { type: 'RunRewound' }],
    [
      'a version from the future',
      { metadata: { schemaVersion: 99, $correlationId: '', $causationId: '', tenant: 'acme', actor: 'a', branch: 0 } },
    ],
    ['data of another shape', { data: { kind: 'neither' } }],
  ])('is %s: it says so and shrugs at nothing', async (_, change) => {
    const { codec } = await world();
    await expect(codec.decode(address, await recordedOf(change))).rejects.toThrow(InvariantViolated);
  });

  it('names the place', async () => {
    const { codec } = await world();
    await expect(codec.decode(address, await recordedOf({ type: 'RunRewound', revision: 7 }))).rejects.toThrow('run-acme.run1@7');
  });
});

it('every event carries who, why and in which form', async () => {
  const { metadata } = await stored(await world(), { ...requested(), report: { epoch: 2, seq: 3 } } as RunEvent);
  expect(metadata).toEqual({
    schemaVersion: 1,
    $correlationId: 'run1',
    $causationId: 'c1',
    tenant: 'acme',
    actor: 'user:ann',
    branch: 0,
    report: { epoch: 2, seq: 3 },
  });
});

it('every event type is among the golden samples', () => {
  const types: RunEventType[] = golden().map(({ type }) => type);
  expect(new Set(types).size).toBeGreaterThanOrEqual(24);
});
