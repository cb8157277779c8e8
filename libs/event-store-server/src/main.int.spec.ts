import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EventStoreDBClient, jsonEvent } from '@eventstore/db-client';
import { selfSignedCertificate } from '@perdure/testing';
import { changeUser } from './access/credentials-file';
import { type EventStoreProcess, spawnEventStoreServer } from './spawn';

const ROOT = join(__dirname, '..', '..', '..');
const ENTRY = join(__dirname, '..', 'dist', 'main.js');
jest.setTimeout(60_000);

const WRITERS = 32;
const CRASHES = 3;

let folder: string;
const started: EventStoreProcess[] = [];

beforeAll(() => {
  execFileSync(process.execPath, [join(ROOT, 'tools', 'build.mjs')], { stdio: 'ignore' });
});

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'perdure-store-'));
});

afterEach(async () => {
  await Promise.all(started.splice(0).map((server) => server.kill()));
  rmSync(folder, { recursive: true, force: true });
});

async function start(port = 0): Promise<EventStoreProcess> {
  const server = await spawnEventStoreServer({ dataDir: folder, port });
  started.push(server);
  return server;
}

/** Exit code and complaint of a server that cannot start. */
function refusal(args: readonly string[]): Promise<{ code: number | null; complaint: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [ENTRY, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    let complaint = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => void (complaint += text));
    child.once('close', (code) => resolve({ code, complaint }));
  });
}

interface Acknowledged {
  readonly stream: string;
  readonly revision: number;
  readonly ids: readonly string[];
}

let sequence = 0;

function nextId(): string {
  sequence += 1;
  return `00000000-0000-4000-8000-${sequence.toString(16).padStart(12, '0')}`;
}

/** Appends of three events to a stream of its own, until the server dies. */
async function write(client: EventStoreDBClient, stream: string, into: Acknowledged[]): Promise<void> {
  for (let revision = -1; ; revision += 3) {
    const ids = [nextId(), nextId(), nextId()];
    const events = ids.map((id) => jsonEvent({ id, type: 'Happened', data: { filler: 'x'.repeat(200) } }));
    try {
      await client.appendToStream(stream, events, { expectedRevision: revision < 0 ? 'no_stream' : BigInt(revision) });
    } catch {
      return;
    }
    into.push({ stream, revision: revision + 3, ids });
  }
}

describe('the process', () => {
  it('keeps every acknowledged event, in order and once, when it is killed under load', async () => {
    const acknowledged: Acknowledged[] = [];
    for (let crash = 0; crash < CRASHES; crash += 1) {
      const server = await start();
      const client = EventStoreDBClient.connectionString(server.connectionString);
      const wanted = acknowledged.length + 300;
      const writing = Array.from({ length: WRITERS }, (_, at) => write(client, `s-${crash}-${at}`, acknowledged));
      while (acknowledged.length < wanted) await new Promise((resolve) => setImmediate(resolve));
      await server.kill();
      await Promise.all(writing);
      await client.dispose();
    }
    const server = await start();
    const client = EventStoreDBClient.connectionString(server.connectionString);
    const content = new Map<string, string[]>();
    for await (const { event } of client.readAll()) {
      if (event === undefined || event.streamId.startsWith('$')) continue;
      const ids = content.get(event.streamId) ?? [];
      content.set(event.streamId, ids);
      expect(Number(event.revision)).toBe(ids.length);
      ids.push(event.id);
    }
    for (const { stream, revision, ids } of acknowledged)
      expect(content.get(stream)?.slice(revision - 2, revision + 1)).toEqual(ids);
    for (const ids of content.values()) {
      expect(ids.length % 3).toBe(0);
      expect(new Set(ids).size).toBe(ids.length);
    }
    await client.dispose();
  });

  it('says where it serves, and stops cleanly when asked', async () => {
    const portFile = join(folder, 'port');
    const child = spawn(process.execPath, [ENTRY, '--data', folder, '--port-file', portFile], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const line = await new Promise<string>((resolve) => child.stdout.setEncoding('utf8').once('data', resolve));
    const ready = JSON.parse(line) as { ready: boolean; port: number; pid: number };
    expect(ready).toEqual({ ready: true, port: Number(readFileSync(portFile, 'utf8')), pid: child.pid });
    const ended = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
  });

  it('ends with its parent when it has a lifeline', async () => {
    const child = spawn(process.execPath, [ENTRY, '--data', folder, '--lifeline'], { stdio: ['pipe', 'pipe', 'ignore'] });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    const ended = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
    child.stdin.end();
    expect(await ended).toBe(0);
  });

  it('refuses a data folder that another one uses, and takes it over from a dead one', async () => {
    const first = await start();
    expect(await refusal(['--data', folder])).toMatchObject({
      code: 1,
      complaint: expect.stringMatching(/^DataFolderLocked: .+\n$/) as unknown,
    });
    await first.kill();
    await start();
  });

  it('refuses a port that is taken', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as AddressInfo;
    expect(await refusal(['--data', folder, '--port', String(port)])).toMatchObject({
      code: 1,
      complaint: expect.stringMatching(/^PortTaken: .+\n$/) as unknown,
    });
    other.close();
  });

  it('refuses a format that it does not know, and touches nothing', async () => {
    writeFileSync(join(folder, 'format.json'), '{"format":"perdure-event-log","version":99}');
    expect(await refusal(['--data', folder])).toMatchObject({
      code: 1,
      complaint: expect.stringMatching(/^UnknownFormatVersion: .+\n$/) as unknown,
    });
    expect(readFileSync(join(folder, 'format.json'), 'utf8')).toContain('99');
  });

  it('refuses a folder that cannot be written', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    for (const data of [file, join(file, 'below'), '/proc/nowhere/below']) {
      expect(await refusal(['--data', data])).toMatchObject({
        code: 1,
        complaint: expect.stringMatching(/^DataFolderNotWritable: .+\n$/) as unknown,
      });
    }
  });

  it('refuses to listen where others reach it, unless it has TLS and credentials', async () => {
    for (const host of ['0.0.0.0', '::', 'localhost']) {
      expect(await refusal(['--data', folder, '--host', host])).toMatchObject({
        code: 1,
        complaint: expect.stringMatching(/^HostNotProtected: .+\n$/) as unknown,
      });
    }
  });

  it('refuses certificates and credentials that cannot be used', async () => {
    const file = join(folder, 'empty');
    writeFileSync(file, '', { mode: 0o600 });
    for (const [args, code] of [
      [['--tls-cert', file, '--tls-key', file], 'CertificateUnusable'],
      [['--tls-cert', join(folder, 'none'), '--tls-key', file], 'CertificateUnusable'],
      [['--credentials', file], 'CredentialsUnusable'],
      [['--credentials', join(folder, 'none')], 'CredentialsUnusable'],
    ] as const) {
      const { complaint } = await refusal(['--data', join(folder, 'data'), ...args]);
      expect(complaint).toMatch(new RegExp(`^${code}: .+\n$`));
    }
    expect(await refusal(['--data', folder, '--tls-cert', file])).toMatchObject({ code: 2 });
  });

  it('listens everywhere with both, and reads them again when it is told to', async () => {
    const [certFile, keyFile, credentials] = ['cert.pem', 'key.pem', 'credentials.json'].map((name) => join(folder, name));
    const renew = (): void => {
      const { cert, key } = selfSignedCertificate();
      writeFileSync(String(certFile), cert);
      writeFileSync(String(keyFile), key);
    };
    renew();
    const setUser = (login: string): Promise<void> =>
      changeUser({ file: String(credentials), login, change: { kind: 'set', password: 'secret', groups: ['$admins'] } });
    await setUser('first');
    const args = ['--data', join(folder, 'data'), '--host', '0.0.0.0', '--tls-cert', certFile, '--tls-key', keyFile];
    const child = spawn(process.execPath, [ENTRY, ...(args as string[]), '--credentials', String(credentials)], {
      stdio: 'pipe',
    });
    const line = await new Promise<string>((resolve) => child.stdout.setEncoding('utf8').once('data', resolve));
    const { port } = JSON.parse(line) as { port: number };
    const append = async (login: string): Promise<unknown> => {
      const ca = encodeURIComponent(String(certFile));
      const client = EventStoreDBClient.connectionString(`esdb://${login}:secret@localhost:${port}?tls=true&tlsCAFile=${ca}`);
      return client.appendToStream('s', jsonEvent({ type: 'Happened', data: {} })).finally(() => client.dispose());
    };
    await append('first');
    renew();
    await setUser('second');
    child.kill('SIGHUP');
    for (let isKnown = false; !isKnown;)
      isKnown = await append('second').then(
        () => true,
        () => false,
      );
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
  });

  it('explains how it is called', async () => {
    expect(await refusal([])).toMatchObject({ code: 2, complaint: expect.stringContaining('usage:') as unknown });
  });
});
