import { mkdtempSync, rmSync } from 'node:fs';
import { type Server, type Socket, connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RunningEventStoreServer, startEventStoreServer } from '@perdure/event-store-server';
import { type AppendResult, type EventData, type EventStore, StoreUnavailable } from '@perdure/kernel';
import { systemHost } from '@perdure/platform-host-node';
import { Collected } from '@perdure/testing';
import { EsdbEventStore } from './index';

jest.setTimeout(60_000);

const host = systemHost({ service: 'event-store-spec', write: () => undefined });
const FORWARD = { direction: 'forward', from: 'start', limit: 10_000 } as const;

let folder: string;
let server: RunningEventStoreServer;
let link: BreakableLink;
let store: EventStore;
let made = 0;

/** A wire between client and server that can be cut, or carry nothing and say nothing. */
class BreakableLink {
  isSilent = false;
  private readonly sockets = new Set<Socket>();
  private readonly listener: Server = createServer((inner) => this.join(inner));

  constructor(private readonly target: () => number) {}

  async open(): Promise<void> {
    await new Promise<void>((resolve) => this.listener.listen(0, '127.0.0.1', resolve));
  }

  get port(): number {
    return (this.listener.address() as AddressInfo).port;
  }

  cut(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.listener.close(resolve));
  }

  private join(inner: Socket): void {
    const outer = connect(this.target(), '127.0.0.1');
    for (const [from, to] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      this.sockets.add(from);
      from.on('error', () => undefined);
      from.on('close', () => {
        this.sockets.delete(from);
        to.destroy();
      });
      from.on('data', (bytes: Buffer) => {
        if (!this.isSilent) to.write(bytes);
      });
    }
  }
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'perdure-store-'));
  server = await startEventStoreServer({ dataDir: folder, port: 0 });
  link = new BreakableLink(() => server.port);
  await link.open();
  const connectionString = `esdb://127.0.0.1:${link.port}?tls=false`;
  store = new EsdbEventStore({ connectionString, host, appendDeadlineMs: 500, readDeadlineMs: 500 });
});

afterEach(async () => {
  await store.close();
  await link.close();
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

function event(): EventData {
  made += 1;
  return { id: `00000000-0000-4000-8000-${made.toString(16).padStart(12, '0')}`, type: 'Happened', data: { made }, metadata: {} };
}

/** As callers do: the identical append until the answer is definite. */
async function appendSurely(...[stream, expected, events]: Parameters<EventStore['append']>): Promise<AppendResult> {
  for (;;) {
    try {
      return await store.append(stream, expected, events);
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

async function restart(): Promise<void> {
  await server.close();
  server = await startEventStoreServer({ dataDir: folder, port: 0 });
}

describe('a client whose server goes away', () => {
  it('appends each event once, however often the connection is cut', async () => {
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let revision = -1; revision < 40; revision += 1) {
        const expected = revision < 0 ? 'no-stream' : revision;
        expect(await appendSurely(`run-${writer}`, expected, [event()])).toMatchObject({
          outcome: 'appended',
          revision: revision + 1,
        });
      }
    });
    const done = Promise.all(writers);
    let isDone = false;
    void done.then(() => (isDone = true));
    while (!isDone) {
      link.cut();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await done;
    for (let writer = 0; writer < 8; writer += 1) expect(await store.read(`run-${writer}`, FORWARD)).toHaveLength(41);
  });

  it('follows on over cuts and restarts, missing and repeating nothing', async () => {
    const one = new Collected<number>();
    const all = new Collected<number>();
    store.follow('run-a', { after: 'start', onEvent: ({ revision }) => one.add(revision) });
    const filter = { by: 'stream-name', prefixes: ['run-'] } as const;
    store.followAll({ after: 'end', filter, onEvent: ({ revision }) => all.add(revision), onCaughtUp: () => all.caughtUp() });
    await all.untilCaughtUp();
    for (let revision = -1; revision < 60; revision += 1) {
      await appendSurely('run-a', revision < 0 ? 'no-stream' : revision, [event()]);
      if (revision % 10 === 0) link.cut();
      if (revision === 25) await restart();
    }
    const expected = Array.from({ length: 61 }, (_, revision) => revision);
    expect(await one.first(61)).toEqual(expected);
    expect(await all.first(61)).toEqual(expected);
  });

  it('misses nothing after "the end", also if the connection was lost before the first event', async () => {
    await store.append('run-a', 'no-stream', [event()]);
    const one = new Collected<number>();
    const all = new Collected<number>();
    const filter = { by: 'stream-name', prefixes: ['run-'] } as const;
    store.follow('run-a', { after: 'end', onEvent: ({ revision }) => one.add(revision), onCaughtUp: () => one.caughtUp() });
    store.followAll({ after: 'end', filter, onEvent: ({ revision }) => all.add(revision), onCaughtUp: () => all.caughtUp() });
    await Promise.all([one.untilCaughtUp(), all.untilCaughtUp()]);
    link.isSilent = true;
    link.cut();
    const direct = new EsdbEventStore({ connectionString: server.connectionString, host });
    await direct.append('run-a', 0, [event()]);
    await direct.close();
    link.isSilent = false;
    link.cut();
    expect(await one.first(1)).toEqual([1]);
    expect(await all.first(1)).toEqual([1]);
  });

  it('says that it does not know when no answer comes, and recovers when answers come again', async () => {
    await store.append('run-a', 'no-stream', [event()]);
    link.isSilent = true;
    const batch = [event()];
    await expect(store.append('run-a', 0, batch)).rejects.toThrow(StoreUnavailable);
    await expect(store.read('run-a', FORWARD)).rejects.toThrow(StoreUnavailable);
    link.isSilent = false;
    expect(await appendSurely('run-a', 0, batch)).toMatchObject({ outcome: 'appended', revision: 1 });
    expect(await store.read('run-a', FORWARD)).toHaveLength(2);
  });

  it('never takes a read that was cut short for a short stream', async () => {
    const events = Array.from({ length: 200 }, event);
    await store.append('run-a', 'no-stream', events);
    const lengths = new Set<number>();
    for (let round = 0; round < 40; round += 1) {
      const reads = Array.from({ length: 12 }, () => store.read('run-a', FORWARD));
      await new Promise((resolve) => setTimeout(resolve, round % 10));
      link.cut();
      for (const result of await Promise.allSettled(reads)) {
        if (result.status === 'fulfilled') lengths.add(result.value.length);
        else expect(result.reason).toBeInstanceOf(StoreUnavailable);
      }
    }
    expect([...lengths].filter((length) => length !== events.length)).toEqual([]);
  });

  it('fails at once while nobody listens', async () => {
    await store.append('run-a', 'no-stream', [event()]);
    await link.close();
    await expect(Promise.all(Array.from({ length: 20 }, () => store.append('run-a', 0, [event()])))).rejects.toThrow(
      StoreUnavailable,
    );
    await expect(store.read('run-a', FORWARD)).rejects.toThrow(StoreUnavailable);
    link = new BreakableLink(() => server.port);
    await link.open();
  });

  it('leaves other clients of the process alone', async () => {
    const other = new EsdbEventStore({ connectionString: server.connectionString, host });
    const appends = Array.from({ length: 50 }, (_, at) => other.append(`other-${at}`, 'no-stream', [event()]));
    const lost = store.append('run-a', 'no-stream', [event()]).catch(() => undefined);
    link.cut();
    expect((await Promise.all(appends)).every(({ outcome }) => outcome === 'appended')).toBe(true);
    await lost;
    await other.close();
  });

  it('gives an event again whose handler failed', async () => {
    await store.append('run-a', 'no-stream', [event(), event()]);
    const seen = new Collected<number>();
    const onEvent = async ({ revision }: { revision: number }): Promise<void> => {
      seen.add(revision);
      if (seen.items.length === 1) throw new Error('not yet');
    };
    store.follow('run-a', { after: 'start', onEvent });
    expect(await seen.first(3)).toEqual([0, 0, 1]);
  });
});
