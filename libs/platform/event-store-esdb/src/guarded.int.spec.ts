import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { changeUser, type RunningEventStoreServer, startEventStoreServer } from '@perdure/event-store-server';
import { type EventStore, StoreAccessDenied, type Subscription } from '@perdure/kernel';
import { systemHost } from '@perdure/platform-host-node';
import { eventStoreContract, selfSignedCertificate } from '@perdure/testing';
import { EsdbEventStore } from './index';

// The adapter against a server with TLS and credentials.

jest.setTimeout(60_000);

const host = systemHost({ service: 'event-store-spec', write: () => undefined });
const credentials = mkdtempSync(join(tmpdir(), 'perdure-credentials-'));
const [certFile, keyFile, credentialsFile] = ['cert.pem', 'key.pem', 'users.json'].map((name) => join(credentials, name)) as [
  string,
  string,
  string,
];

beforeAll(async () => {
  const { cert, key } = selfSignedCertificate();
  writeFileSync(certFile, cert);
  writeFileSync(keyFile, key);
  await setUser('service', ['$admins']);
});

afterAll(() => rmSync(credentials, { recursive: true, force: true }));

async function setUser(login: string, groups: readonly string[] = []): Promise<void> {
  await changeUser({ file: credentialsFile, login, change: { kind: 'set', password: 'p:w@rd?&', groups } });
}

interface Scene {
  readonly server: RunningEventStoreServer;
  storeOf(login?: string, password?: string): EventStore;
  stop(): Promise<void>;
}

async function scene(): Promise<Scene> {
  const folder = mkdtempSync(join(tmpdir(), 'perdure-store-'));
  const server = await startEventStoreServer({ dataDir: folder, port: 0, tls: { certFile, keyFile }, credentialsFile });
  const made: EventStore[] = [];
  const storeOf = (login?: string, password = 'p:w@rd?&'): EventStore => {
    const user = login === undefined ? '' : `${login}:${encodeURIComponent(password)}@`;
    const connectionString = `esdb://${user}localhost:${server.port}?tls=true&tlsCAFile=${encodeURIComponent(certFile)}`;
    const store = new EsdbEventStore({ connectionString, host });
    made.push(store);
    return store;
  };
  const stop = async (): Promise<void> => {
    await Promise.all(made.map((store) => store.close()));
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  };
  return { server, storeOf, stop };
}

eventStoreContract('EsdbEventStore over TLS with credentials', async () => {
  const { storeOf, stop } = await scene();
  return { store: storeOf('service'), another: () => storeOf('service'), stop };
});

describe('access that is refused', () => {
  let world: Scene;

  beforeEach(async () => {
    world = await scene();
  });

  afterEach(() => world.stop());

  const event = () => ({ id: randomUUID(), type: 'Happened', data: {}, metadata: {} });
  const forward = { direction: 'forward', from: 'start', limit: 10 } as const;

  const refusal = (follow: (onRefused: (error: StoreAccessDenied) => void) => Subscription): Promise<StoreAccessDenied> =>
    new Promise((resolve) => void follow(resolve));

  it.each([
    ['a wrong password', 'service', 'guess'],
    ['an unknown login', 'nobody', 'guess'],
    ['no credentials', undefined, ''],
  ])('is a terminal error for %s, at once and of every method', async (_, login, password) => {
    const store = world.storeOf(login, password);
    const onEvent = (): void => undefined;
    for (const attempt of [
      store.append('run-a', 'no-stream', [event()]),
      store.append('run-a', 'no-stream', [event()]),
      store.read('run-a', forward),
      store.readAll({ after: 'start', limit: 1 }),
      store.setStreamMetadata('run-a', { maxCount: 1 }),
    ]) {
      await expect(attempt).rejects.toMatchObject({ code: 'StoreAccessDenied', reaction: 'terminal' });
    }
    for (const after of ['start', 'end'] as const) {
      expect(await refusal((onRefused) => store.follow('run-a', { after, onEvent, onRefused }))).toBeInstanceOf(
        StoreAccessDenied,
      );
      const filter = { by: 'stream-name', prefixes: ['run-'] } as const;
      const refused = await refusal((onRefused) => store.followAll({ after, filter, onEvent, onRefused }));
      expect(refused.message).toContain('Check the credentials');
    }
    expect(await world.storeOf('service').read('run-a', forward)).toEqual([]);
  });

  it('is told of one append, and the others on the same call go on', async () => {
    await setUser('writer');
    world.server.reload();
    const writer = world.storeOf('writer');
    const [refused, written] = await Promise.allSettled([
      writer.append('$mine', 'any', [event()]),
      writer.append('run-a', 'any', [event()]),
    ]);
    expect(refused).toMatchObject({ status: 'rejected', reason: { code: 'StoreAccessDenied' } });
    expect(written).toMatchObject({ status: 'fulfilled', value: { outcome: 'appended' } });
  });

  it('ends a subscription whose login is removed while it lives', async () => {
    await setUser('reader');
    world.server.reload();
    await world.storeOf('service').append('run-a', 'any', [event()]);
    const refused = await refusal((onRefused) => {
      const onEvent = (): void => {
        void changeUser({ file: credentialsFile, login: 'reader', change: { kind: 'remove' } }).then(() => world.server.reload());
      };
      return world.storeOf('reader').follow('run-a', { after: 'start', onEvent, onRefused });
    });
    expect(refused).toMatchObject({ code: 'StoreAccessDenied' });
  });
});
