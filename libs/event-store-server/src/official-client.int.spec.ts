import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type AllStreamSubscription,
  BACKWARDS,
  END,
  EventStoreDBClient,
  MaxAppendSizeExceededError,
  type ResolvedEvent,
  StreamDeletedError,
  StreamNotFoundError,
  WrongExpectedVersionError,
  binaryEvent,
  eventTypeFilter,
  jsonEvent,
  streamNameFilter,
} from '@eventstore/db-client';
import { type RunningEventStoreServer, startEventStoreServer } from './server';

// The official client as its users use it, unmodified: what it awaits of a server is this server's contract.

jest.setTimeout(60_000);

let folder: string;
let server: RunningEventStoreServer;
let client: EventStoreDBClient;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'perdure-store-'));
  server = await startEventStoreServer({ dataDir: folder, port: 0 });
  client = EventStoreDBClient.connectionString(server.connectionString);
});

afterEach(async () => {
  await client.dispose();
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

function event(type = 'Happened', id = randomUUID()) {
  return jsonEvent({ id, type, data: { text: 'é€😀' }, metadata: { trace: 1 } });
}

async function revisions(stream: string, options: Parameters<EventStoreDBClient['readStream']>[1] = {}): Promise<number[]> {
  const found: number[] = [];
  for await (const resolved of client.readStream(stream, options)) found.push(Number(resolved.event?.revision));
  return found;
}

async function logTypes(options: Parameters<EventStoreDBClient['readAll']>[0] = {}): Promise<string[]> {
  const found: string[] = [];
  for await (const resolved of client.readAll(options)) found.push(String(resolved.event?.type));
  return found;
}

describe('appending with the official client', () => {
  it('answers success, and the same again for a repeat', async () => {
    const events = [event(), event()];
    const first = await client.appendToStream('a', events, { expectedRevision: 'no_stream' });
    expect(first).toMatchObject({ success: true, nextExpectedRevision: 1n });
    await client.appendToStream('a', event(), { expectedRevision: 1n });
    expect(await client.appendToStream('a', events, { expectedRevision: 'no_stream' })).toEqual(first);
    expect(await revisions('a')).toEqual([0, 1, 2]);
  });

  it.each([
    ['the batch path', {}],
    ['the path of one call an append', { credentials: { username: 'ignored', password: 'without tls' } }],
  ])('names actual and expected version on %s', async (_, options) => {
    await client.appendToStream('a', [event(), event()], { ...options });
    const refused = client.appendToStream('a', event(), { expectedRevision: 0n, ...options });
    await expect(refused).rejects.toThrow(WrongExpectedVersionError);
    await expect(refused).rejects.toMatchObject({ streamName: 'a', expectedVersion: 0n, actualVersion: 1n });
    await expect(client.appendToStream('b', event(), { expectedRevision: 3n, ...options })).rejects.toMatchObject({
      actualVersion: 'no_stream',
    });
    expect(await client.appendToStream('a', [], { expectedRevision: 1n, ...options })).toMatchObject({
      nextExpectedRevision: 1n,
    });
  });

  it.each([
    ['the batch path', {}],
    ['the path of one call an append', { credentials: { username: 'ignored', password: 'without tls' } }],
  ])('refuses what is too large on %s, in one part or many', async (_, options) => {
    for (const size of [1_100_000, 7_000_000]) {
      const large = jsonEvent({ type: 'Large', data: { text: 'x'.repeat(size) } });
      const refused = client.appendToStream('a', [event(), large, event()], { ...options });
      await expect(refused).rejects.toThrow(MaxAppendSizeExceededError);
      await expect(refused).rejects.toMatchObject({ maxAppendSize: 1_048_576 });
    }
    expect(await client.appendToStream('a', event(), { ...options })).toMatchObject({ nextExpectedRevision: 0n });
  });

  it('takes an append in parts as one', async () => {
    const events = Array.from({ length: 200 }, () => event());
    const result = await client.appendToStream('a', events, { batchAppendSize: 2000 });
    expect(result).toMatchObject({ nextExpectedRevision: 199n });
    expect(await revisions('a', { direction: 'backwards', fromRevision: 'end', maxCount: 1 })).toEqual([199]);
  });

  it('answers many at once, each its own', async () => {
    const results = await Promise.all(Array.from({ length: 300 }, (_, at) => client.appendToStream(`s-${at % 7}`, event())));
    expect(new Set(results.map(({ position }) => position?.commit)).size).toBe(300);
  });
});

describe('reading with the official client', () => {
  it('tells a missing stream from an empty one', async () => {
    await expect(revisions('missing')).rejects.toThrow(StreamNotFoundError);
    await client.appendToStream('a', event());
    await client.setStreamMetadata('a', { truncateBefore: 1 });
    expect(await revisions('a')).toEqual([]);
  });

  it('gives events whole', async () => {
    const sent = event('Typed');
    const { position } = await client.appendToStream('a.é', sent);
    for await (const { event: found } of client.readStream('a.é')) {
      expect(found).toMatchObject({
        id: sent.id,
        type: 'Typed',
        data: sent.data,
        metadata: sent.metadata,
        streamId: 'a.é',
        position,
        isJson: true,
      });
      expect(Math.abs(Date.now() - Number(found?.created))).toBeLessThan(60_000);
    }
  });

  it('reads the log inclusively forwards and exclusively backwards', async () => {
    await client.appendToStream('a', [event('One'), event('Two'), event('Three')]);
    const positions: { commit: bigint; prepare: bigint }[] = [];
    for await (const resolved of client.readAll()) {
      if (resolved.event?.isJson === true && resolved.event.streamId === 'a')
        positions.push((resolved.event as unknown as { position: { commit: bigint; prepare: bigint } }).position);
    }
    const [, second] = positions;
    expect(await logTypes({ fromPosition: second as never })).toEqual(['Two', 'Three']);
    expect(await logTypes({ fromPosition: second as never, direction: 'backwards', maxCount: 1 })).toEqual(['One']);
    expect(await logTypes({ fromPosition: 'end', direction: 'backwards', maxCount: 2 })).toEqual(['Three', 'Two']);
    const inside = { commit: (second?.commit ?? 0n) + 1n, prepare: (second?.commit ?? 0n) + 1n };
    await expect(logTypes({ fromPosition: inside })).rejects.toMatchObject({ type: 'unknown' });
  });

  it('begins its log as the real one does, and once', async () => {
    const begin = await logTypes();
    expect(begin).toHaveLength(6);
    expect(begin.every((type) => type.startsWith('$'))).toBe(true);
    await server.close();
    await client.dispose();
    server = await startEventStoreServer({ dataDir: folder, port: 0 });
    client = EventStoreDBClient.connectionString(server.connectionString);
    expect(await logTypes()).toEqual(begin);
  });

  it('hides a deleted stream until it is written again, and then continues its revisions', async () => {
    await client.appendToStream('a', [event(), event()]);
    await client.setStreamMetadata('a', { maxCount: 100, custom: 'kept' });
    await client.deleteStream('a');
    await expect(revisions('a')).rejects.toThrow(StreamNotFoundError);
    await client.appendToStream('a', event(), { expectedRevision: 'no_stream' });
    expect(await revisions('a')).toEqual([2]);
    await expect(client.deleteStream('missing', { expectedRevision: 5n })).rejects.toMatchObject({
      streamName: 'missing',
      expectedVersion: 5n,
    });
  });

  it('ends a stream for ever with a tombstone', async () => {
    await client.appendToStream('a', event());
    await client.tombstoneStream('a');
    await expect(client.appendToStream('a', event())).rejects.toThrow(StreamDeletedError);
    await expect(revisions('a')).rejects.toMatchObject({ streamName: 'a' });
    await expect(client.tombstoneStream('a')).rejects.toThrow(StreamDeletedError);
    await server.close();
    server = await startEventStoreServer({ dataDir: folder, port: server.port });
    // The client may learn of the old connection's end by its first call.
    const first = event();
    const append = () => client.appendToStream('b', first);
    await expect(append().catch(append)).resolves.toBeDefined();
    await expect(client.appendToStream('a', event())).rejects.toThrow(StreamDeletedError);
  });

  it('refuses what it does not have', async () => {
    await expect(client.enableProjection('missing')).rejects.toBeDefined();
  });
});

describe('links', () => {
  const linkTo = (revision: number, stream: string) =>
    binaryEvent({ type: '$>', data: Buffer.from(`${revision}@${stream}`), metadata: Buffer.alloc(0) });

  interface Told {
    readonly event: string | undefined;
    readonly link: string | undefined;
  }

  function told({ event: target, link }: ResolvedEvent): Told {
    const name = (one: typeof target): string | undefined => one && `${one.revision}@${one.streamId}`;
    return { event: name(target), link: name(link) };
  }

  async function toldOf(source: AsyncIterable<ResolvedEvent>): Promise<Told[]> {
    const found: Told[] = [];
    for await (const resolved of source) found.push(told(resolved));
    return found;
  }

  beforeEach(async () => {
    await client.appendToStream('a', [event(), event()]);
    await client.appendToStream('links', [linkTo(1, 'a'), event(), linkTo(7, 'a'), linkTo(0, 'nowhere')]);
  });

  const resolved: readonly Told[] = [
    { event: '1@a', link: '0@links' },
    { event: '1@links', link: undefined },
    { event: undefined, link: '2@links' },
    { event: undefined, link: '3@links' },
  ];

  it('are followed where that is asked for, and told alone when their target is gone', async () => {
    expect(await toldOf(client.readStream('links', { resolveLinkTos: true }))).toEqual(resolved);
    const backwards = client.readStream('links', { resolveLinkTos: true, direction: BACKWARDS, fromRevision: END });
    expect(await toldOf(backwards)).toEqual([...resolved].reverse());
    const all = await toldOf(client.readAll({ resolveLinkTos: true }));
    expect(all.filter(({ link }) => link !== undefined)).toEqual(resolved.filter(({ link }) => link !== undefined));
  });

  it('are events like others where it is not', async () => {
    const plain = await toldOf(client.readStream('links'));
    expect(plain).toEqual([0, 1, 2, 3].map((revision) => ({ event: `${revision}@links`, link: undefined })));
  });

  it('are followed in subscriptions, and not to what was truncated or deleted', async () => {
    const seen: Told[] = [];
    const subscription = client.subscribeToStream('links', { resolveLinkTos: true });
    const done = new Promise<void>((resolve) => {
      subscription.on('data', (one) => {
        seen.push(told(one));
        if (seen.length === 4) resolve();
      });
    });
    await done;
    await subscription.unsubscribe();
    expect(seen).toEqual(resolved);
    await client.setStreamMetadata('a', { truncateBefore: 2 });
    const [first] = await toldOf(client.readStream('links', { resolveLinkTos: true, maxCount: 1 }));
    expect(first).toEqual({ event: undefined, link: '0@links' });
  });
});

describe('filters', () => {
  async function refusalOf(regex: string): Promise<string> {
    const subscription = client.subscribeToAll({ filter: eventTypeFilter({ regex }) });
    const error = await new Promise<Error>((resolve) => subscription.on('error', resolve));
    return error.message;
  }

  it('that would take for ever with backtracking do not hold up the server', async () => {
    await client.appendToStream(`${'a'.repeat(5_000)}!`, event());
    await client.appendToStream('aaa', event());
    const seen = new Promise<string | undefined>((resolve) => {
      const subscription = client.subscribeToAll({ filter: streamNameFilter({ regex: '^(a+)+$' }) });
      subscription.on('data', (one) => {
        resolve(one.event?.streamId);
        void subscription.unsubscribe();
      });
    });
    expect(await seen).toBe('aaa');
  });

  it.each([
    ['(?=a)b', /lookaround/],
    ['(a', /missing closing/],
    ['a'.repeat(5_000), /at most 4096 characters/],
  ])('that cannot be bounded are refused: %.20s', async (regex, reason) => {
    expect(await refusalOf(regex)).toMatch(reason);
  });
});

describe('subscribing with the official client', () => {
  /** Takes what it is given until `count` events are there. */
  function events(subscription: AllStreamSubscription, count: number): Promise<string[]> {
    return new Promise((resolve, reject) => {
      const found: string[] = [];
      subscription.on('error', reject);
      subscription.on('data', (resolved) => {
        found.push(`${resolved.event?.streamId}:${resolved.event?.type}`);
        if (found.length === count) resolve(found);
      });
    });
  }

  it.each([
    ['prefixes of types', eventTypeFilter({ prefixes: ['Want', 'Wish'] }), ['a:Wanted', 'b:Wished']],
    ['a pattern of types', eventTypeFilter({ regex: '^W.*ed$' }), ['a:Wanted', 'b:Wished']],
    ['prefixes of streams', streamNameFilter({ prefixes: ['b'] }), ['b:Other', 'b:Wished']],
    ['a pattern of streams', streamNameFilter({ regex: '^[^a$]' }), ['b:Other', 'b:Wished']],
  ])('filters by %s in the server', async (_, filter, expected) => {
    await client.appendToStream('a', [event('Wanted'), event('Other')]);
    const subscription = client.subscribeToAll({ filter });
    const found = events(subscription, expected.length);
    await client.appendToStream('b', event('Other'));
    await client.appendToStream('b', event('Wished'));
    expect(await found).toEqual(expected);
    await subscription.unsubscribe();
  });

  it('gives a checkpoint when it has caught up, and others as often as asked for', async () => {
    await client.appendToStream(
      'a',
      Array.from({ length: 50 }, () => event('Other')),
    );
    const positions: bigint[] = [];
    const reached = new Promise<void>((resolve) => {
      const checkpointReached = (_: unknown, { commit }: { commit: bigint }): void => {
        positions.push(commit);
        if (positions.length === 1)
          void client.appendToStream(
            'a',
            Array.from({ length: 20 }, () => event('Other')),
          );
        if (positions.length === 3) resolve();
      };
      const filter = eventTypeFilter({ prefixes: ['Wanted'], maxSearchWindow: 10, checkpointInterval: 1, checkpointReached });
      client.subscribeToAll({ filter }).on('error', () => undefined);
    });
    await reached;
    const log: bigint[] = [];
    for await (const resolved of client.readAll()) log.push(resolved.event?.position?.commit ?? -1n);
    expect(positions.map((position) => log.indexOf(position))).toEqual([55, 65, 75]);
  });

  it('ends a live subscription with the stream it follows', async () => {
    await client.appendToStream('a', event());
    const subscription = client.subscribeToStream('a');
    const seen: string[] = [];
    const ended = new Promise<unknown>((resolve) => subscription.on('error', resolve));
    subscription.on('data', ({ event: found }) => seen.push(String(found?.type)));
    await new Promise((resolve) => subscription.on('caughtUp', () => resolve(undefined)));
    await client.tombstoneStream('a');
    expect(await ended).toBeInstanceOf(StreamDeletedError);
    expect(seen).toEqual(['Happened', '$streamDeleted']);
  });

  it('serves a thousand subscriptions on one connection', async () => {
    const subscriptions = Array.from({ length: 1000 }, (_, at) => client.subscribeToStream(`s-${at % 10}`));
    const delivered = subscriptions.map(
      (subscription) => new Promise((resolve, reject) => subscription.once('data', resolve).once('error', reject)),
    );
    await Promise.all(Array.from({ length: 10 }, (_, at) => client.appendToStream(`s-${at}`, event())));
    expect(await Promise.all(delivered)).toHaveLength(1000);
    for (const subscription of subscriptions) subscription.on('error', () => undefined);
  });
});
