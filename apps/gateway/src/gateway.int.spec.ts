import 'reflect-metadata';
import { Global, Module } from '@nestjs/common';
import { LogFollower } from '@perdure/keeper-application';
import { NoResponders, type Bus, type EventData } from '@perdure/kernel';
import { MemoryBlobStore } from '@perdure/platform-blob-memory';
import { MemoryEventStore, MemoryLog } from '@perdure/platform-event-store-memory';
import { systemHost } from '@perdure/platform-host-node';
import {
  BLOB_STORE,
  BUS,
  COMMAND_BUS,
  EVENT_STORE,
  HOST,
  KEY_RING,
  LOG_FOLLOWER,
  PLATFORM_CONFIG,
  type RunningService,
} from '@perdure/platform-nest-runtime';
import type { CommandEnvelope } from '@perdure/run-contract';
import { GatewayModule } from './gateway.module';
import { serveHttp } from './serve-http';

type Answer = (command: CommandEnvelope['command'], runId: string) => object;

const VIEW = {
  tenant: 'default',
  kind: 'agent',
  name: 'audit',
  status: 'ended',
  revision: 2,
  epoch: 1,
  requestedAtMs: 1,
  cancelRequested: false,
  waitingOn: [],
};
const META = { schemaVersion: 1, $correlationId: 'r', $causationId: 'c', tenant: 'default', actor: 'user:x', branch: 0 };

/** A gateway before owners that answer as the spec says. */
async function gatewayWith(answer: Answer) {
  const host = systemHost({ service: 'gateway', write: () => undefined });
  const store = new MemoryEventStore(new MemoryLog(host.clock));
  const blobs = new MemoryBlobStore();
  const asked: CommandEnvelope[] = [];
  const bus = {
    request: async (subject: string, payload: string) => {
      const envelope = JSON.parse(payload) as CommandEnvelope;
      asked.push(envelope);
      return JSON.stringify(answer(envelope.command, subject.split('.').at(-1) ?? ''));
    },
    subscribe: () => ({ close: () => Promise.resolve() }),
    onReconnect: () => ({ close: () => Promise.resolve() }),
  } as unknown as Bus;
  const follower = new LogFollower({ store, blobs, host });
  const values: readonly (readonly [symbol, unknown])[] = [
    [HOST, host],
    [BUS, bus],
    [COMMAND_BUS, {}],
    [EVENT_STORE, store],
    [BLOB_STORE, blobs],
    [KEY_RING, undefined],
    [LOG_FOLLOWER, follower],
    [PLATFORM_CONFIG, { signerKey: undefined }],
  ];
  const providers = values.map(([provide, useValue]) => ({ provide, useValue }));
  class Ports {}
  Global()(Ports);
  Module({ providers, exports: providers.map(({ provide }) => provide) })(Ports);
  class Root {}
  const service: RunningService = await serveHttp(
    { module: Root, imports: [Ports, GatewayModule] },
    { bind: '127.0.0.1', port: 0 },
  );
  const url = String(service.about?.url);
  const call = async (
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; headers: Headers; body: Record<string, unknown> }> => {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const response = await fetch(`${url}${path}`, {
      method,
      ...(body === undefined ? {} : { body: text, headers: { 'content-type': 'application/json' } }),
    });
    return { status: response.status, headers: response.headers, body: (await response.json()) as Record<string, unknown> };
  };
  let ids = 0;
  const append = (runId: string, ...facts: readonly (readonly [string, object])[]) =>
    store.append(
      `run-default.${runId}`,
      'any',
      facts.map(([type, data]): EventData => ({
        id: `00000000-0000-4000-8000-${String((ids += 1)).padStart(12, '0')}`,
        type,
        data,
        metadata: META,
      })),
    );
  return { url, call, asked, append, close: async () => (await service.close(), follower.close()) };
}

const REQUESTED = [
  'RunRequested',
  { kind: 'agent', name: 'audit', pool: 'default', input: {}, requestHash: 'h', requestedAtMs: 1 },
] as const;
const COMPLETED = ['RunCompleted', { output: 'done', endedAtMs: 2 }] as const;

describe('the gateway', () => {
  let gateway: Awaited<ReturnType<typeof gatewayWith>>;
  let answer: Answer = () => ({ ok: true, value: {} });
  const refuse =
    (code: string, reaction = 'terminal', more = {}): Answer =>
    () => ({ ok: false, error: { code, message: 'because', reaction, ...more } });

  beforeAll(async () => {
    gateway = await gatewayWith((command, runId) => answer(command, runId));
  });
  afterAll(() => gateway.close());

  it('gives the same run id for the same idempotency key', async () => {
    let first = true;
    answer = (_, runId) => {
      const started = first;
      first = false;
      return { ok: true, value: { runId, started } };
    };
    const one = await gateway.call('POST', '/v1/runs', { name: 'audit', input: {}, idempotencyKey: 'k' });
    const two = await gateway.call('POST', '/v1/runs', { name: 'audit', input: {}, idempotencyKey: 'k' });
    expect([one.status, two.status]).toEqual([201, 200]);
    expect(one.body.runId).toMatch(/^[0-9a-f]{32}$/);
    expect(two.body).toEqual({ runId: one.body.runId, started: false });
  });

  it.each([
    ['RunNotFound', 404],
    ['UnknownAgent', 404],
    ['InvalidInput', 400],
    ['RunAlreadyExists', 409],
    ['PayloadTooLarge', 413],
    ['SomethingElse', 422],
  ])('maps the refusal %s to %i', async (code, status) => {
    answer = refuse(code);
    expect(await gateway.call('POST', '/v1/runs', { name: 'audit', input: {} })).toMatchObject({
      status,
      body: { error: { code, message: 'because' } },
    });
  });

  it('lists the effects that wait for an answer, and passes the answer on with the name of who gives it', async () => {
    const execution = { call: 't1.0', attempt: 1, executionId: 'x1' };
    const question = { ...execution, tool: 'wire', effectClass: 'irreversible', args: 5, startByMs: 1, overByMs: 2 };
    await gateway.append('asked1', REQUESTED, ['EffectQuestioned', { ...question, because: 'no-probe', why: 'it timed out' }]);
    const list = await gateway.call('GET', '/v1/effects');
    expect(list.body.questions).toMatchObject([{ runId: 'asked1', call: 't1.0', tool: 'wire', why: 'it timed out' }]);
    answer = () => ({ ok: true, value: VIEW });
    const body = { resolution: 'happened', result: { receipt: 7 }, by: 'ada' };
    expect(await gateway.call('POST', '/v1/runs/asked1/effects/t1.0/resolve', body)).toMatchObject({ status: 202 });
    expect(gateway.asked.at(-1)).toMatchObject({
      actor: { kind: 'user', id: 'ada' },
      command: { type: 'ResolveEffect', call: 't1.0', resolution: 'happened', result: { receipt: 7 } },
    });
    answer = refuse('EffectMayStillRun', 'terminal');
    expect(await gateway.call('POST', '/v1/runs/asked1/effects/t1.0/resolve', { resolution: 'absent' })).toMatchObject({
      status: 409,
    });
    expect(await gateway.call('POST', '/v1/runs/asked1/effects/t1.0/resolve', { resolution: 'perhaps' })).toMatchObject({
      status: 400,
    });
  });

  it('lets another build go on with a run, and lists builds', async () => {
    answer = () => ({ ok: true, value: VIEW });
    const body = { buildId: 'b-2', reason: 'checked' };
    expect(await gateway.call('POST', '/v1/runs/r1/repin', body)).toMatchObject({ status: 202, body: { buildId: 'b-2' } });
    expect(gateway.asked.at(-1)).toMatchObject({ command: { type: 'RepinRun', buildId: 'b-2', reason: 'checked' } });
    answer = refuse('UnknownBuild');
    expect(await gateway.call('POST', '/v1/runs/r1/repin', body)).toMatchObject({ status: 404 });
    expect(await gateway.call('POST', '/v1/runs/r1/repin', {})).toMatchObject({ status: 400 });
    expect(await gateway.call('GET', '/v1/builds')).toMatchObject({ status: 200, body: { builds: [] } });
  });

  it('repeats the identical request until it is answered', async () => {
    let left = 2;
    answer = (command, runId) => {
      left -= 1;
      if (left >= 0) throw new NoResponders('x');
      return { ok: true, value: { runId, started: true } };
    };
    const before = gateway.asked.length;
    expect((await gateway.call('POST', '/v1/runs', { name: 'audit', input: {} })).status).toBe(201);
    const ids = gateway.asked.slice(before).map(({ id }) => id);
    expect(ids).toHaveLength(3);
    expect(new Set(ids).size).toBe(1);
  });

  it.each([
    { what: 'no name', path: '/v1/runs', body: { input: 1 }, status: 400, code: 'MalformedRequest' },
    { what: 'text that is not JSON', path: '/v1/runs', body: '{', status: 400, code: 'MalformedRequest' },
    {
      what: 'a body that is too large',
      path: '/v1/runs',
      body: { name: 'x', input: 'y'.repeat(1_300_000) },
      status: 413,
      code: 'PayloadTooLarge',
    },
    { what: 'an unknown route', path: '/v1/nothing', body: {}, status: 404, code: 'RouteNotFound' },
    { what: 'a run id that cannot be one', path: '/v1/runs/a.b/cancel', body: {}, status: 404, code: 'RunNotFound' },
  ])('refuses $what with a typed error', async ({ path, body, status, code }) => {
    const refused = await gateway.call('POST', path, body);
    expect(refused).toMatchObject({ status, body: { error: { code } } });
    expect(JSON.stringify(refused.body)).not.toMatch(/\.(ts|js):\d+/);
  });

  it('answers 202 while a run has not ended, 200 when it has', async () => {
    answer = (_, runId) => ({ ok: true, value: { ...VIEW, runId, status: 'active' } });
    expect((await gateway.call('GET', '/v1/runs/r1/result?waitMs=0')).status).toBe(202);
    answer = (_, runId) => ({ ok: true, value: { ...VIEW, runId, outcome: { status: 'completed', output: 1 } } });
    expect((await gateway.call('GET', '/v1/runs/r1/result?waitMs=1000')).status).toBe(200);
  });

  it('lists runs as the log tells', async () => {
    await gateway.append('listed', REQUESTED, COMPLETED);
    const { body } = await gateway.call('GET', '/v1/runs?status=completed');
    expect(body.runs).toContainEqual(expect.objectContaining({ runId: 'listed', status: 'completed' }));
  });

  it('pages through the facts of a run', async () => {
    await gateway.append(
      'paged',
      REQUESTED,
      ['RunCancelRequested', { reason: 'r', commandId: 'c', requestedAtMs: 1 }],
      COMPLETED,
    );
    const first = await gateway.call('GET', '/v1/runs/paged/events?limit=2');
    expect((first.body.facts as { revision: number }[]).map(({ revision }) => revision)).toEqual([0, 1]);
    const second = await gateway.call('GET', `/v1/runs/paged/events?from=${String(first.body.next)}`);
    expect(second.body).toMatchObject({ facts: [{ revision: 2, type: 'RunCompleted' }] });
    expect(second.body.next).toBeUndefined();
  });

  it('streams facts until the run ends, and goes on after the last one that was seen', async () => {
    await gateway.append('live', REQUESTED);
    const response = await fetch(`${gateway.url}/v1/runs/live/stream`);
    await gateway.append('live', COMPLETED);
    const text = await response.text();
    expect(text).toMatch(/id: 0\n[^]*id: 1\n[^]*event: end/);
    const again = await fetch(`${gateway.url}/v1/runs/live/stream`, { headers: { 'last-event-id': '0' } });
    expect(await again.text()).not.toContain('id: 0\n');
    const late = await fetch(`${gateway.url}/v1/runs/live/stream`, { headers: { 'last-event-id': '1' } });
    expect(await late.text()).toContain('event: end');
  });

  it('says that there is no such run before it opens a stream', async () => {
    expect(await gateway.call('GET', '/v1/runs/nobody/stream')).toMatchObject({
      status: 404,
      body: { error: { code: 'RunNotFound' } },
    });
  });

  describe('streams the tokens of a run', () => {
    const completed = { type: 'completed', revision: 3, call: 't1', epoch: 1, attempt: 1, text: 'Hello there' };
    const facts = [{ type: 'assigned', revision: 1, epoch: 1 }, { type: 'began', revision: 2, call: 't1' }, completed];
    const told: Answer = (command, runId) => {
      if (command.type !== 'GetModelCalls') return { ok: true, value: { ...VIEW, runId } };
      const { from } = command;
      return { ok: true, value: { facts: facts.filter(({ revision }) => revision >= from), next: 4, ended: true } };
    };
    const read = async (lastEventId?: string): Promise<string> => {
      const headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
      return (await fetch(`${gateway.url}/v1/runs/spoken/tokens`, { headers })).text();
    };

    it('until it ends, and goes on after the last event that was seen', async () => {
      answer = told;
      const text = await read();
      expect(text).toMatch(
        /^retry: 500\n\nid: \S+\nevent: text\ndata: .*"text":"Hello there".*\n\nid: \S+\nevent: completed\n[^]*event: end/,
      );
      const rest = await read('3,1;t1,1,1,5');
      expect(rest).toContain('"offset":5,"text":" there"');
      expect(await read(/id: (\S+)\nevent: completed/.exec(text)?.[1])).not.toContain('event: text');
    });

    it('of which there is none, or from where there is nothing, says so before it opens', async () => {
      answer = refuse('RunNotFound');
      expect(await gateway.call('GET', '/v1/runs/nobody/tokens')).toMatchObject({ status: 404 });
      answer = told;
      const malformed = await fetch(`${gateway.url}/v1/runs/spoken/tokens`, { headers: { 'last-event-id': 'seven' } });
      expect([malformed.status, await malformed.json()]).toMatchObject([400, { error: { code: 'MalformedRequest' } }]);
    });
  });

  it('describes itself', async () => {
    const { body } = await gateway.call('GET', '/openapi.json');
    expect(Object.keys(body.paths as object)).toEqual(expect.arrayContaining(['/v1/runs', '/v1/runs/{runId}/stream']));
  });
});
