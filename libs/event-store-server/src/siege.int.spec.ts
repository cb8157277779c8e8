import { connect as connectSocket, type Socket } from 'node:net';
import { constants } from 'node:http2';
import { ProtoWriter } from '@perdure/platform-event-store-wire';
import { BesiegedServer } from './spec-kit/besieged-server';
import { answerOf, frame, METHODS, RawClient, VALID } from './spec-kit/raw-client';

// Clients that take without end: what they can hold is bounded, and what they held is free again when they are gone.

jest.setTimeout(120_000);

const MEGABYTE = 1024 * 1024;
/** What is still there after an attack: caches, and memory that the engine of JavaScript keeps for later. */
const LEFT_MEGABYTES_MAX = 60;
/** Unfinished messages of all clients share 256 MiB, unread answers another 256; the rest is their calls. */
const HELD_MEGABYTES_MAX = 420;
const RESOURCE_EXHAUSTED = '8';

let server: BesiegedServer;
let before: number;
const clients: RawClient[] = [];
const sockets: Socket[] = [];

beforeAll(() => BesiegedServer.build());

beforeEach(async () => {
  server = await BesiegedServer.start();
  expect(await server.serves()).toBe(true);
  before = await server.megabytes();
});

afterEach(async () => {
  await leave();
  await server.stop();
});

async function attacker(windowBytes?: number): Promise<RawClient> {
  const client = await RawClient.connect(server.port, windowBytes);
  clients.push(client);
  return client;
}

async function leave(): Promise<void> {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(clients.splice(0).map((client) => client.close()));
}

/** After everything that a test has done. */
async function expectHarmless(): Promise<void> {
  expect(await server.serves()).toBe(true);
  expect((await server.megabytes()) - before).toBeLessThan(HELD_MEGABYTES_MAX);
  await leave();
  expect(await server.serves()).toBe(true);
  expect((await server.megabytes()) - before).toBeLessThan(LEFT_MEGABYTES_MAX);
}

/** Resolves when the server has read it, as far as it does. */
function write(stream: ReturnType<RawClient['open']>, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      stream.removeListener('close', done);
      resolve();
    };
    if (stream.closed || stream.destroyed) return resolve();
    stream.once('close', done);
    stream.write(bytes, done);
  });
}

/** An unknown field: of no use to anybody, but part of the message. */
function padded(message: Buffer, bytes: number): Buffer {
  return Buffer.concat([message, new ProtoWriter().data(15, Buffer.alloc(bytes)).finish()]);
}

describe('what never ends', () => {
  it('is bounded: batch appends whose last part does not come', async () => {
    const client = await attacker();
    const data = Buffer.alloc(MEGABYTE - 10_000, 'x');
    await Promise.all(
      Array.from({ length: 10 }, async (_, call) => {
        const stream = client.open(METHODS.batchAppend);
        stream.resume();
        for (let correlation = 0; correlation < 30; correlation += 1) {
          const part = VALID.batch({ stream: `s-${call}`, correlation, data, isFinal: false });
          await write(stream, frame(part));
        }
      }),
    );
    await expectHarmless();
  });

  it('is bounded: batch appends of which there are too many', async () => {
    const client = await attacker();
    const parts = Array.from({ length: 1_001 }, (_, correlation) =>
      frame(VALID.batch({ stream: 's', correlation, isFinal: false })),
    );
    expect(await client.call(METHODS.batchAppend, Buffer.concat(parts))).toMatchObject({ grpc: RESOURCE_EXHAUSTED });
    await expectHarmless();
  });

  it('is bounded: small events in large messages', async () => {
    const client = await attacker();
    await Promise.all(
      Array.from({ length: 6 }, async () => {
        const stream = client.open(METHODS.append);
        const answer = answerOf(stream);
        await write(stream, frame(VALID.target('padded')));
        for (let count = 0; count < 20 && !stream.closed; count += 1) {
          await write(stream, frame(padded(VALID.event(), 4 * MEGABYTE)));
        }
        expect((await answer).grpc).toMatch(/^[38]$/);
      }),
    );
    await expectHarmless();
  });

  it('is bounded: an append of one event after the other', async () => {
    const client = await attacker();
    const stream = client.open(METHODS.append);
    const answer = answerOf(stream);
    await write(stream, frame(VALID.target('endless')));
    const many = Buffer.concat(Array.from({ length: 2_000 }, () => frame(VALID.event(Buffer.alloc(0)))));
    while (!stream.closed && !stream.destroyed) await write(stream, many);
    expect(await answer).toMatchObject({ grpc: '3' });
    await expectHarmless();
  });

  it('is bounded: messages that come halfway', async () => {
    const client = await attacker();
    const half = Buffer.alloc(2 * MEGABYTE);
    half.writeUInt32BE(16 * MEGABYTE, 1);
    const calls = Array.from({ length: 100 }, () => client.open(METHODS.read));
    const ends = calls.map((stream) => answerOf(stream));
    await Promise.all(calls.map((stream) => write(stream, half)));
    await expectHarmless();
    expect((await Promise.all(ends)).map(({ grpc }) => grpc)).toContain(RESOURCE_EXHAUSTED);
  });
});

describe('many', () => {
  it('connections that say nothing harm nobody', async () => {
    for (let count = 0; count < 800; count += 1) {
      const socket = connectSocket(server.port, '127.0.0.1');
      sockets.push(socket.on('error', () => undefined));
    }
    await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('connect', resolve).once('close', resolve))));
    for (let count = 0; count < 100; count += 1) await attacker();
    await expectHarmless();
  });

  it('streams that are reset as soon as they are open harm nobody', async () => {
    for (let round = 0; round < 20; round += 1) {
      const client = await attacker();
      for (let count = 0; count < 1_000 && !client.isClosed; count += 1) {
        const stream = client.open(METHODS.read);
        stream.write(frame(VALID.subscribeToAll('start')));
        stream.close(constants.NGHTTP2_CANCEL);
        if (count % 100 === 99) await new Promise((resolve) => setImmediate(resolve));
      }
    }
    await expectHarmless();
  });

  it('subscriptions get what happens, and are released', async () => {
    const total = 10_000;
    const kinds = [
      VALID.subscribe('live-1'),
      VALID.subscribeToAll('end'),
      VALID.subscribeToAll('end', { regex: '^live-' }),
      VALID.subscribeToAll('end', { prefixes: ['live-'] }),
    ];
    let confirmed = 0;
    let given = 0;
    const enough = (isEnough: () => boolean): Promise<void> =>
      new Promise((resolve) => {
        const look = (): unknown => (isEnough() ? resolve() : setImmediate(look));
        look();
      });
    for (let connection = 0; connection < 20; connection += 1) {
      const client = await attacker();
      for (let count = 0; count < total / 20; count += 1) {
        const stream = client.open(METHODS.read);
        let text = '';
        let isGiven = false;
        stream.once('data', () => (confirmed += 1));
        stream.on('data', (chunk: Buffer) => {
          text += chunk.toString('latin1');
          if (isGiven || !text.includes('to-everybody')) return;
          isGiven = true;
          text = '';
          given += 1;
        });
        stream.end(frame(kinds[count % kinds.length] as Buffer));
      }
    }
    await enough(() => confirmed === total);
    const happened = VALID.batch({ stream: 'live-1', correlation: 1, data: Buffer.from('"to-everybody"'), isFinal: true });
    await (await attacker()).call(METHODS.batchAppend, frame(happened));
    await enough(() => given === total);
    await expectHarmless();
  });
});

describe('readers that do not read', () => {
  async function fill(megabytes: number): Promise<void> {
    const client = await attacker();
    const data = Buffer.alloc(MEGABYTE / 4, 'x');
    for (let count = 0; count < 4 * megabytes; count += 1) {
      const part = VALID.batch({ stream: `filled-${count}`, correlation: count, data, isFinal: true });
      await client.call(METHODS.batchAppend, frame(part));
    }
  }

  it('cost no more than the bound, however many there are and however much there is', async () => {
    await fill(16);
    const client = await attacker(1);
    for (let count = 0; count < 1_000; count += 1) client.open(METHODS.read).pause().end(frame(VALID.readAll()));
    for (let count = 0; count < 1_000; count += 1)
      client
        .open(METHODS.read)
        .pause()
        .end(frame(VALID.subscribeToAll('start')));
    await fill(16);
    await expectHarmless();
  });

  it('are not read either when they append', async () => {
    const client = await attacker(1);
    const stream = client.open(METHODS.batchAppend).pause();
    const batch = Buffer.concat(
      Array.from({ length: 1_000 }, (_, correlation) =>
        frame(VALID.batch({ stream: 's'.repeat(1_000), correlation, isFinal: true })),
      ),
    );
    const isStopped = (): boolean => stream.writableLength > 64 * MEGABYTE;
    for (let count = 0; count < 100 && !isStopped(); count += 1) {
      stream.write(batch);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await expectHarmless();
  });
});

describe('filters', () => {
  it.each([
    ['explodes', '^(a+)+$'],
    ['explodes in alternatives', '(a|a|aa)+b'],
    ['repeats repeats', '((a{0,100}){0,100}){0,100}'],
    ['repeats large classes', '\\pL{1000}'.repeat(400)],
    ['is nested', '('.repeat(1_000) + ')'.repeat(1_000)],
    ['is large', 'a'.repeat(5_000)],
    ['is half of a pair', '[\\x{d800}😀'],
    ['is none', '('],
    ['looks around', '(?=a)'],
  ])('may hold any expression: one that %s', async (_, regex) => {
    const client = await attacker();
    const long = 'a'.repeat(5_000);
    const batch = VALID.batch({ stream: `${long}!`, correlation: 1, isFinal: true });
    await client.call(METHODS.batchAppend, frame(batch));
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => client.call(METHODS.read, frame(VALID.subscribeToAll('start', { regex })))),
    );
    expect(answers.every(({ grpc, bytes }) => grpc === '3' || bytes > 0)).toBe(true);
    await expectHarmless();
  });

  it('may hold a thousand prefixes and no more', async () => {
    const client = await attacker();
    const prefixes = Array.from({ length: 1_000 }, (_, index) => `prefix-${index}`);
    expect((await client.call(METHODS.read, frame(VALID.subscribeToAll('start', { prefixes })))).bytes).toBeGreaterThan(0);
    const more = VALID.subscribeToAll('start', { prefixes: [...prefixes, 'x'] });
    expect(await client.call(METHODS.read, frame(more))).toMatchObject({ grpc: '3' });
    await expectHarmless();
  });
});

describe('metadata', () => {
  it.each([
    ['deep', `{"x":${'['.repeat(100_000)}${']'.repeat(100_000)}}`],
    ['cut', '['.repeat(100_000)],
    ['of huge numbers', '{"$maxCount":1e400,"$maxAge":1e308,"$tb":-9999999999999999999999}'],
    ['of parts', '{"$maxCount":0.5}'],
    ['negative', '{"$maxCount":-1,"$maxAge":-1,"$tb":-1}'],
    ['of a prototype', '{"__proto__":{"$maxCount":1},"constructor":{"$tb":9}}'],
    ['none', '\0\xff'],
  ])('may be anything: %s', async (_, text) => {
    const client = await attacker();
    const batches = ['m', '$$m', 'm'].map((stream, correlation) =>
      frame(VALID.batch({ stream, correlation, data: Buffer.from(text, 'latin1'), isFinal: true })),
    );
    await client.call(METHODS.batchAppend, Buffer.concat(batches));
    expect((await client.call(METHODS.read, frame(VALID.read('m')))).bytes).toBeGreaterThan(2 * Math.min(text.length, 100));
    await expectHarmless();
  });
});
