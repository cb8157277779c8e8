import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:http2';
import {
  AccessDeniedError,
  type EventStoreDBClient,
  START,
  StreamNotFoundError,
  binaryEvent,
  jsonEvent,
  persistentSubscriptionToStreamSettingsFromDefaults,
} from '@eventstore/db-client';
import { GuardedServer, passwordOf } from './spec-kit/guarded-server';
import { changeUser } from './access/credentials-file';

// The official client over TLS, as different users: who may do what is this server's contract with them.

jest.setTimeout(60_000);

let guarded: GuardedServer;
let admin: EventStoreDBClient;
let alice: EventStoreDBClient;
let bob: EventStoreDBClient;

beforeEach(async () => {
  guarded = await GuardedServer.start({ root: ['$admins'], alice: ['editors'], bob: [] });
  [admin, alice, bob] = [guarded.client('root'), guarded.client('alice'), guarded.client('bob')];
});

afterEach(() => guarded.stop());

const happened = (type = 'Happened') => jsonEvent({ type, data: { text: 'é€😀' } });

async function typesOf(client: EventStoreDBClient, stream: string, resolveLinkTos = false): Promise<(string | undefined)[]> {
  const types: (string | undefined)[] = [];
  for await (const { event } of client.readStream(stream, { resolveLinkTos })) types.push(event?.type);
  return types;
}

async function logLength(client: EventStoreDBClient): Promise<number> {
  let count = 0;
  for await (const resolved of client.readAll()) count += resolved.event === undefined ? 0 : 1;
  return count;
}

/** Resolves when the server ended the subscription. */
function ending(client: EventStoreDBClient, stream: string, onEvent: () => void = () => undefined): Promise<Error> {
  return new Promise((resolve) => {
    client.subscribeToStream(stream, { fromRevision: 'start' }).on('data', onEvent).on('error', resolve);
  });
}

function denied(attempt: Promise<unknown>): Promise<void> {
  return expect(attempt).rejects.toThrow(AccessDeniedError);
}

describe('credentials', () => {
  it('let the official client work over TLS, with those of the connection or of a call', async () => {
    await alice.appendToStream('s', happened('First'));
    const anonymous = guarded.client();
    const credentials = { username: 'bob', password: passwordOf('bob') };
    await anonymous.appendToStream('s', happened('Second'), { credentials });
    expect(await typesOf(bob, 's')).toEqual(['First', 'Second']);
  });

  it.each([
    ['a wrong password', 'alice', 'guess'],
    ['a login that does not exist', 'carol', 'guess'],
  ])('refuse %s, on every kind of call', async (_, login, password) => {
    const stranger = guarded.client(login, password);
    for (const attempt of [
      stranger.appendToStream('s', happened()),
      stranger.appendToStream('s', happened(), { credentials: { username: login, password } }),
      typesOf(stranger, 's'),
      stranger.deleteStream('s'),
    ]) {
      await expect(attempt).rejects.toMatchObject({ type: 'access-denied', code: 16 });
    }
    expect(await ending(stranger, 's')).toBeInstanceOf(AccessDeniedError);
    await expect(typesOf(bob, 's')).rejects.toThrow(StreamNotFoundError);
  });

  it('are wanted of everybody', async () => {
    const anonymous = guarded.client();
    await denied(anonymous.appendToStream('s', happened()));
    await denied(typesOf(anonymous, 's'));
    await denied(logLength(anonymous));
    await denied(anonymous.tombstoneStream('s'));
    expect(await ending(anonymous, 's')).toMatchObject({ code: 7, message: expect.stringContaining('TLS') as unknown });
  });

  it('are asked for before anything of a call is read', async () => {
    const session = connect(`https://localhost:${guarded.server.port}`, { ca: readFileSync(guarded.certFile) });
    const statusOf = (path: string): Promise<unknown> => {
      const headers = { ':method': 'POST', ':path': `/event_store.client.${path}`, 'content-type': 'application/grpc' };
      const call = session.request(headers, { endStream: false });
      return new Promise((resolve) => call.on('response', (headers) => resolve(headers['grpc-status'])));
    };
    for (const method of ['Read', 'Append', 'BatchAppend', 'Delete', 'Tombstone'])
      expect(await statusOf(`streams.Streams/${method}`)).toBe('7');
    session.destroy();
  });

  it('are read again when the file changes, and end the open calls of whoever was disabled', async () => {
    await alice.appendToStream('s', happened());
    const isAtWork = new Promise<void>((resolve) => void ending(bob, 's', resolve));
    const aliceEnds = ending(alice, 's');
    await isAtWork;
    await changeUser({ file: guarded.credentialsFile, login: 'alice', change: { kind: 'disable' } });
    expect(await aliceEnds).toMatchObject({ code: 14, message: expect.stringContaining('disabled') as unknown });
    await expect(alice.appendToStream('s', happened())).rejects.toMatchObject({ type: 'access-denied', code: 16 });
    await bob.appendToStream('s', happened());
    expect(await typesOf(bob, 's')).toHaveLength(2);
  });

  it('stay as they were when the file becomes unusable', async () => {
    const { credentialsFile } = guarded;
    const before = readFileSync(credentialsFile, 'utf8');
    writeFileSync(credentialsFile, before.slice(0, 40));
    expect(() => guarded.server.reload()).toThrow(/CredentialsUnusable|is not JSON/);
    await bob.appendToStream('s', happened());
  });
});

describe('TLS', () => {
  it('is negotiated with a new certificate after a reload, while old connections live on', async () => {
    await alice.appendToStream('s', happened());
    guarded.renewCertificate();
    guarded.server.reload();
    await guarded.client('bob').appendToStream('s', happened());
    await alice.appendToStream('s', happened());
    expect(await typesOf(alice, 's')).toHaveLength(3);
  });

  it('leads back to the name by which a client discovered the server', async () => {
    const discovering = guarded.connectionString('bob').replace('esdb://', 'esdb+discover://');
    const client = guarded.clientOf(discovering);
    await client.appendToStream('s', happened());
    expect(await typesOf(client, 's')).toHaveLength(1);
  });
});

describe('access lists', () => {
  it('let only those read, write and delete whom they name', async () => {
    await admin.setStreamMetadata('s', {
      acl: { readRoles: ['editors', 'bob'], writeRoles: ['editors'], deleteRoles: ['root'] },
    });
    await alice.appendToStream('s', happened());
    await denied(bob.appendToStream('s', happened()));
    await denied(bob.appendToStream('s', happened(), { credentials: { username: 'bob', password: passwordOf('bob') } }));
    expect(await typesOf(bob, 's')).toEqual(['Happened']);
    await denied(alice.deleteStream('s'));
    await denied(alice.tombstoneStream('s'));
    await admin.setStreamMetadata('s', { acl: { readRoles: ['$admins'], deleteRoles: ['alice'] } });
    await denied(typesOf(alice, 's'));
    expect(await ending(bob, 's')).toBeInstanceOf(AccessDeniedError);
    await alice.deleteStream('s');
  });

  it('judge metadata by rights of its own', async () => {
    await admin.setStreamMetadata('s', { acl: { metaReadRoles: ['alice'], metaWriteRoles: [] } });
    expect((await alice.getStreamMetadata('s')).metadata?.acl).toMatchObject({ metaReadRoles: ['alice'] });
    await denied(bob.getStreamMetadata('s'));
    await denied(alice.setStreamMetadata('s', {}));
    await denied(alice.appendToStream('$$s', happened()));
    await admin.setStreamMetadata('s', {});
    await bob.setStreamMetadata('s', { maxCount: 3 });
  });

  it('keep system streams and the whole log to administrators', async () => {
    await denied(logLength(alice));
    await denied(typesOf(alice, '$users'));
    await denied(alice.appendToStream('$mine', happened()));
    expect(await logLength(admin)).toBeGreaterThan(5);
    await admin.setStreamMetadata('$all', { acl: { readRoles: ['editors'] } });
    expect(await logLength(alice)).toBeGreaterThan(5);
    await denied(logLength(bob));
  });

  it('have defaults, which the settings stream replaces', async () => {
    const $userStreamAcl = { $r: '$all', $w: ['editors'], $d: '$admins', $mr: '$all', $mw: '$admins' };
    await admin.appendToStream('$settings', jsonEvent({ type: 'update', data: { $userStreamAcl } }));
    await alice.appendToStream('s', happened());
    await denied(bob.appendToStream('s', happened()));
    await denied(alice.deleteStream('s'));
    expect(await typesOf(bob, 's')).toHaveLength(1);
    await admin.appendToStream('$settings', jsonEvent({ type: 'update', data: {} }));
    await bob.appendToStream('s', happened());
  });

  it('end the subscription of whoever may no longer read', async () => {
    await alice.appendToStream('s', happened());
    const ended = ending(bob, 's', () => {
      void admin
        .setStreamMetadata('s', { acl: { readRoles: ['alice'] } })
        .then(() => alice.appendToStream('s', happened('Secret')));
    });
    expect(await ended).toBeInstanceOf(AccessDeniedError);
  });

  it('let links stand only for what the reader may read', async () => {
    await alice.appendToStream('open', happened('Open'));
    await admin.appendToStream('closed', happened('Closed'));
    await admin.setStreamMetadata('closed', { acl: { readRoles: [] } });
    for (const target of ['0@open', '0@closed'])
      await bob.appendToStream('links', binaryEvent({ type: '$>', data: Buffer.from(target) }));
    expect(await typesOf(bob, 'links', true)).toEqual(['Open', undefined]);
    expect(await typesOf(admin, 'links', true)).toEqual(['Open', 'Closed']);
  });
});

describe('persistent subscriptions', () => {
  const settings = persistentSubscriptionToStreamSettingsFromDefaults({ startFrom: START });

  it('are made by whoever runs the server, and consumed by whoever may read', async () => {
    await admin.setStreamMetadata('s', { acl: { readRoles: ['editors'] } });
    await alice.appendToStream('s', happened('First'));
    await denied(alice.createPersistentSubscriptionToStream('s', 'group', settings));
    await admin.createPersistentSubscriptionToStream('s', 'group', settings);
    await denied(bob.getPersistentSubscriptionToStreamInfo('s', 'group'));
    const consume = (client: EventStoreDBClient): Promise<unknown> =>
      new Promise((resolve) => {
        const subscription = client.subscribeToPersistentSubscriptionToStream('s', 'group');
        subscription.on('error', resolve).on('data', ({ event }) => {
          void subscription.unsubscribe().then(() => resolve(event?.type));
        });
      });
    expect(await consume(bob)).toBeInstanceOf(AccessDeniedError);
    expect(await consume(alice)).toBe('First');
  });
});

describe('a live connection', () => {
  it('asks again for each append of a call that is open', async () => {
    await bob.appendToStream('s', happened());
    await admin.setStreamMetadata('s', { acl: { writeRoles: [] } });
    await denied(bob.appendToStream('s', happened()));
    await bob.appendToStream('other', happened());
    expect(await typesOf(bob, 's')).toHaveLength(1);
  });
});
