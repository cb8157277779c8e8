import { get } from 'node:http';
import { get as getOverTls } from 'node:https';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { EventStoreDBClient, jsonEvent } from '@eventstore/db-client';
import { type EventStoreServerOptions, type RunningEventStoreServer, startEventStoreServer } from '../server';
import { GuardedServer, basic } from '../spec-kit/guarded-server';
import { SimulatedDisk } from '../crash/simulated-disk';

jest.setTimeout(60_000);

interface Answer {
  readonly status: number | undefined;
  readonly text: string;
}

interface Question {
  readonly authorization?: string;
  readonly ca?: string;
}

function ask(port: number, path: string, { authorization, ca }: Question = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = authorization === undefined ? {} : { authorization };
    const options = { host: 'localhost', family: 4, port, path, headers, ...(ca === undefined ? {} : { ca }) };
    const request = (ca === undefined ? get : getOverTls)(options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => void (text += part));
      response.on('end', () => resolve({ status: response.statusCode, text }));
    });
    request.on('error', reject);
  });
}

const happened = () => jsonEvent({ type: 'Happened', data: {} });

let server: RunningEventStoreServer | undefined;
let client: EventStoreDBClient | undefined;
let disk: SimulatedDisk;

beforeEach(() => {
  disk = new SimulatedDisk(() => 0.5);
});

afterEach(async () => {
  await client?.dispose();
  await server?.close();
  [client, server] = [undefined, undefined];
});

async function start(options: Partial<EventStoreServerOptions> = {}): Promise<[RunningEventStoreServer, EventStoreDBClient]> {
  const started = await startEventStoreServer({ dataDir: '/data', port: 0, files: disk, ...options });
  server = started;
  client = EventStoreDBClient.connectionString(started.connectionString);
  return [started, client];
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

/** The figure on the line that begins with `name`. */
function figure(text: string, name: string): number {
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1));
}

describe('health', () => {
  it('is answered on the port of gRPC, beside live calls', async () => {
    const [{ port }, user] = await start();
    await user.appendToStream('s', happened());
    expect(await ask(port, '/health/live')).toEqual({ status: 204, text: '' });
    expect(await ask(port, '/health/ready?verbose')).toEqual({ status: 204, text: '' });
    expect(await ask(port, '/elsewhere')).toMatchObject({ status: 404 });
    await user.appendToStream('s', happened());
  });

  it('is answered to a request that comes byte by byte', async () => {
    const [{ port }] = await start();
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    let answer = '';
    socket.setEncoding('utf8').on('data', (text: string) => void (answer += text));
    for (const letter of 'POST /health/live HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n')
      await new Promise((resolve) => socket.write(letter, () => setImmediate(resolve)));
    await new Promise((resolve) => socket.on('end', resolve));
    expect(answer).toMatch(/^HTTP\/1\.1 405 /);
  });

  it('is live but not ready while the log is being opened', async () => {
    const port = await freePort();
    let goOn = (): void => undefined;
    disk.beforeSync = () => new Promise<void>((resolve) => (goOn = resolve));
    const opening = start({ port });
    let isLive = false;
    while (!isLive)
      isLive = await ask(port, '/health/live').then(
        ({ status }) => status === 204,
        () => false,
      );
    expect(await ask(port, '/health/ready')).toEqual({ status: 503, text: 'The log is being opened.\n' });
    const early = EventStoreDBClient.connectionString(`esdb://127.0.0.1:${port}?tls=false`);
    await expect(early.tombstoneStream('s')).rejects.toMatchObject({ code: 14 });
    await early.dispose();
    disk.beforeSync = () => undefined;
    goOn();
    await opening;
    expect(await ask(port, '/health/ready')).toMatchObject({ status: 204 });
  });

  it('is not ready while the disk is full, and ready again after the next append', async () => {
    const [{ port }, user] = await start();
    disk.room = 0;
    await expect(user.appendToStream('s', happened())).rejects.toThrow();
    expect(await ask(port, '/health/ready')).toMatchObject({ status: 503, text: expect.stringContaining('full') as unknown });
    expect(await ask(port, '/health/live')).toMatchObject({ status: 204 });
    disk.room = Number.POSITIVE_INFINITY;
    await user.appendToStream('s', happened());
    expect(await ask(port, '/health/ready')).toMatchObject({ status: 204 });
  });

  it('is ready again when the disk has room, without an append', async () => {
    const [{ port }, user] = await start();
    disk.room = 0;
    await expect(user.appendToStream('s', happened())).rejects.toThrow();
    Object.assign(disk, { freeBytes: () => Promise.resolve(1024 ** 3) });
    expect(await ask(port, '/health/ready')).toMatchObject({ status: 204 });
  });

  it('is not ready after the log died, and calls are told to go elsewhere', async () => {
    const [{ port }, user] = await start();
    disk.syncFails = true;
    await expect(user.appendToStream('s', happened())).rejects.toThrow();
    expect(await ask(port, '/health/ready')).toMatchObject({ status: 503 });
    expect(await ask(port, '/health/live')).toMatchObject({ status: 204 });
    await expect(user.tombstoneStream('s')).rejects.toMatchObject({ code: 14 });
  });
});

describe('the figures', () => {
  it('count what was done', async () => {
    const [{ port }, user] = await start();
    const before = (await ask(port, '/metrics')).text;
    await user.appendToStream('s', [happened(), happened()]);
    await expect(user.appendToStream('s', happened(), { expectedRevision: 9n })).rejects.toThrow();
    const subscription = user.subscribeToStream('s', { fromRevision: 'start' });
    let seen = 0;
    await new Promise<void>((resolve) => subscription.on('data', () => (seen += 1) === 2 && resolve()));
    const { text } = await ask(port, '/metrics');
    const risen = (name: string): number => figure(text, name) - figure(before, name);
    expect(risen('perdure_store_appends_total')).toBe(1);
    expect(risen('perdure_store_events_appended_total')).toBe(2);
    expect(risen('perdure_store_events_read_total')).toBe(2);
    expect(risen('perdure_store_events')).toBe(2);
    expect(risen('perdure_store_streams')).toBe(1);
    expect(risen('perdure_store_sync_seconds_count')).toBe(1);
    expect(risen('perdure_store_written_bytes_total')).toBe(risen('perdure_store_log_bytes'));
    expect(figure(text, 'perdure_store_sync_seconds_bucket{le="+Inf"}')).toBe(figure(text, 'perdure_store_sync_seconds_count'));
    expect(figure(text, 'perdure_store_refusals_total{reason="wrong-version"}')).toBe(1);
    expect(figure(text, 'perdure_store_subscriptions')).toBe(1);
    expect(figure(text, 'perdure_store_calls_open{method="Streams/Read"}')).toBe(1);
    expect(figure(text, 'perdure_store_calls_open{method="Streams/BatchAppend"}')).toBe(1);
    expect(figure(text, 'perdure_store_http2_sessions')).toBe(1);
    expect(figure(text, 'perdure_store_ready')).toBe(1);
    for (const line of text.trim().split('\n'))
      expect(line).toMatch(/^(# TYPE [a-z_0-9]+ (counter|gauge|histogram)|[a-z_0-9]+(\{[a-z]+="[^"]*"\})? [0-9.e+-]+)$/);
    await subscription.unsubscribe();
  });

  it('are for operators and administrators where there are credentials, health is for everybody', async () => {
    const guarded = await GuardedServer.start({ root: ['$admins'], otto: ['$ops'], bob: [] });
    const { port } = guarded.server;
    const ca = readFileSync(guarded.certFile, 'utf8');
    const statusFor = async (authorization?: string): Promise<number | undefined> =>
      (await ask(port, '/metrics', { ca, ...(authorization === undefined ? {} : { authorization }) })).status;
    expect(await ask(port, '/health/ready', { ca })).toEqual({ status: 204, text: '' });
    expect(await statusFor()).toBe(401);
    expect(await statusFor(basic('root', 'guess'))).toBe(401);
    expect(await statusFor(basic('bob'))).toBe(403);
    expect(await statusFor(basic('otto'))).toBe(200);
    expect(await statusFor(basic('root'))).toBe(200);
    await expect(ask(port, '/health/live')).rejects.toThrow();
    await guarded.stop();
  });
});
