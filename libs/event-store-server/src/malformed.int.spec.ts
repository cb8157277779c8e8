import { chanceFrom } from './crash/chance';
import { BesiegedServer } from './spec-kit/besieged-server';
import { frame, METHODS, RawClient, STREAMS, VALID } from './spec-kit/raw-client';

// Bytes that no client would send: each is refused with a status that says whose fault it is, and harms nobody else.

const SEED = 20_260_101;
const MUTANTS_PER_METHOD = 150;
const INVALID = '3';
const UNKNOWN = '2';

let server: BesiegedServer;
let raw: RawClient;

beforeAll(async () => {
  BesiegedServer.build();
  server = await BesiegedServer.start();
});

afterAll(() => server.stop());

beforeEach(async () => {
  raw = await RawClient.connect(server.port);
});

afterEach(async () => {
  await raw.close();
  expect(await server.serves()).toBe(true);
});

/** Flips, cuts, repeats and replaces bytes, so that lengths, types and numbers come to lie. */
function mutant(message: Buffer, chance: () => number): Buffer {
  const below = (limit: number): number => Math.floor(chance() * limit);
  const bytes = [...message];
  for (let change = 1 + below(4); change > 0; change -= 1) {
    const at = below(bytes.length + 1);
    const kind = below(6);
    if (kind === 0) bytes.splice(at);
    else if (kind === 1) bytes[at] = below(256);
    else if (kind === 2) bytes.splice(at, below(8));
    else if (kind === 3) bytes.splice(at, 0, ...bytes.slice(at, at + 16));
    else if (kind === 4) bytes.splice(at, 0, ...Array.from({ length: 10 }, () => 0xff));
    else bytes[at] = (bytes[at] ?? 0) ^ (1 << below(8));
  }
  return Buffer.from(bytes);
}

const SAMPLES: Readonly<Record<keyof typeof METHODS, readonly Buffer[]>> = {
  read: [VALID.read('m'), VALID.readAll(), VALID.subscribe('m'), VALID.subscribeToAll('start', { regex: '^m' })],
  append: [VALID.target('m'), VALID.event()],
  batchAppend: [VALID.batch({ stream: 'm', correlation: 1, isFinal: true })],
  delete: [VALID.target('m')],
  tombstone: [VALID.target('m')],
  features: [Buffer.alloc(0)],
  gossip: [Buffer.alloc(0)],
};

describe('messages that are none', () => {
  it.each(Object.keys(METHODS) as (keyof typeof METHODS)[])(
    'are answered with a status, whatever they are: %s',
    async (method) => {
      const chance = chanceFrom(SEED);
      const answers = await Promise.all(
        Array.from({ length: MUTANTS_PER_METHOD }, (_, count) => {
          const samples = SAMPLES[method];
          const message = mutant(samples[count % samples.length] as Buffer, chance);
          const bytes = method === 'append' ? [frame(VALID.target('m')), frame(message)] : [frame(message)];
          return raw.call(METHODS[method], Buffer.concat(bytes));
        }),
      );
      const strange = answers.filter(({ http, grpc, bytes, message }) => {
        const isPosition = grpc === UNKNOWN && message.startsWith('invalid position');
        return http !== 200 || (grpc === undefined && bytes === 0) || (grpc === UNKNOWN && !isPosition);
      });
      expect(strange).toEqual([]);
    },
  );

  it.each([
    ['a length beyond the message', [0x0a, 0x7f]],
    ['a length of 2^63', [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]],
    ['a number without an end', [0x0a, 0x0b, 0x28, ...Array.from({ length: 10 }, () => 0xff)]],
    ['a name that is not UTF-8', [0x0a, 0x08, 0x0a, 0x06, 0x0a, 0x04, 0x1a, 0x02, 0xc3, 0x28]],
    ['a group', [0x0b, 0x0c]],
  ])('are the fault of the sender: %s', async (_, bytes) => {
    expect(await raw.call(METHODS.read, frame(Buffer.from(bytes)))).toMatchObject({ grpc: INVALID });
  });

  it('may be nested as deep as they like where nobody looks', async () => {
    let nested = Buffer.alloc(0);
    for (let depth = 0; depth < 20_000; depth += 1) {
      const head = Buffer.from([0x7a, 0x80 | (nested.length & 0x7f), 0x80 | ((nested.length >> 7) & 0x7f), nested.length >> 14]);
      nested = Buffer.concat([head, nested]);
    }
    expect(await raw.call(METHODS.features, frame(nested))).toMatchObject({ http: 200 });
    expect(await raw.call(METHODS.delete, frame(Buffer.concat([VALID.target('deep'), nested])))).toMatchObject({ grpc: '9' });
  });

  it('may hold millions of events that are none', async () => {
    const empty = Buffer.alloc(15 * 1024 * 1024);
    for (let at = 0; at < empty.length; at += 2) empty[at] = 0x1a;
    const message = Buffer.concat([
      VALID.batch({ stream: 'm', correlation: 1, isFinal: true }),
      empty.subarray(0, -(empty.length % 2) || undefined),
    ]);
    expect((await raw.call(METHODS.batchAppend, frame(message))).bytes).toBeGreaterThan(0);
  });
});

describe('calls that are none', () => {
  it.each([
    ['another method', { ':method': 'GET' }],
    ['another content type', { 'content-type': 'application/json' }],
    ['none', { 'content-type': '' }],
  ])('are refused: %s', async (_, headers) => {
    expect(await raw.call(METHODS.gossip, Buffer.alloc(0), headers)).toMatchObject({ http: 415, grpc: undefined });
  });

  it.each(['/', '/nowhere', `${STREAMS}/`, `${STREAMS}/read`, '/%00%ff/..', `/${'x'.repeat(8_000)}`])(
    'are refused: the path %.30s',
    async (path) => {
      expect(await raw.call(path, Buffer.alloc(0))).toMatchObject({ http: 200, grpc: '12' });
    },
  );

  it.each([
    ['a compressed message', Buffer.from([1, 0, 0, 0, 1, 0]), '12'],
    ['a message over the limit', Buffer.from([0, 0x7f, 0xff, 0xff, 0xff]), '8'],
    ['no message', Buffer.alloc(0), INVALID],
    ['half a message', frame(VALID.read('m')).subarray(0, 9), INVALID],
  ])('are refused: %s', async (_, bytes, grpc) => {
    expect(await raw.call(METHODS.read, bytes)).toMatchObject({ grpc });
  });
});

describe('names', () => {
  const long = 'n'.repeat(64 * 1024);

  it.each([
    ['none', ''],
    ['that of no metadata', '$$'],
    ['one that is too long', long],
  ])('that no stream can have are refused by every method: %s', async (_, name) => {
    const batch = VALID.batch({ stream: name, correlation: 7, isFinal: true });
    expect(await raw.call(METHODS.read, frame(VALID.read(name)))).toMatchObject({ grpc: INVALID });
    expect(await raw.call(METHODS.read, frame(VALID.subscribe(name)))).toMatchObject({ grpc: INVALID });
    expect(await raw.call(METHODS.delete, frame(VALID.target(name)))).toMatchObject({ grpc: INVALID });
    expect(await raw.call(METHODS.tombstone, frame(VALID.target(name)))).toMatchObject({ grpc: INVALID });
    expect(await raw.call(METHODS.append, Buffer.concat([frame(VALID.target(name)), frame(VALID.event())]))).toMatchObject({
      grpc: INVALID,
    });
    expect((await raw.call(METHODS.batchAppend, frame(batch))).bytes).toBeGreaterThan(0);
  });

  it.each([
    '\0',
    ' ',
    '%',
    '%41',
    '\r\n',
    '"\'\\',
    '$',
    '$all',
    '@',
    '1@a',
    '\u202e',
    '😀'.repeat(1_000),
    'n'.repeat(65_000),
    '../../etc',
    '__proto__',
  ])('may hold anything else: %.20j', async (name) => {
    const append = Buffer.concat([frame(VALID.target(name)), frame(VALID.event())]);
    expect(await raw.call(METHODS.append, append)).toMatchObject({ http: 200 });
    expect((await raw.call(METHODS.read, frame(VALID.read(name)))).bytes).toBeGreaterThan(name.length);
    expect(await raw.call(METHODS.tombstone, frame(VALID.target(name)))).toMatchObject({ http: 200 });
    // The name comes back in a header, which has less room.
    expect(await raw.call(METHODS.read, frame(VALID.read(name)))).toMatchObject({ http: 200, grpc: '9' });
  });
});
