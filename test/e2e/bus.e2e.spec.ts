import { randomUUID } from 'node:crypto';
import { connectBus, type BusConnection } from '@perdure/platform-bus-jetstream';
import { systemHost } from '@perdure/platform-host-node';
import { commandSubject, requestSubject, runAddress } from '@perdure/run-contract';
import { ofType, START_MAX_MS, World } from './rig.world';

const host = systemHost({ service: 'e2e', write: () => undefined });
const TIMEOUT_MS = 5_000;

let world: World;
let connection: BusConnection;
beforeAll(async () => {
  world = await World.open(1);
  const { natsUrl, brokerUsers } = world.rig.stack;
  connection = await connectBus({ url: natsUrl, name: 'e2e', ...brokerUsers.service, host });
}, START_MAX_MS);
afterAll(async () => {
  await connection.close();
  await world.close();
}, START_MAX_MS);

interface Answered {
  readonly ok: boolean;
  readonly value?: unknown;
  readonly error?: { readonly code: string; readonly reaction: string; readonly message: string };
}

function envelope(command: object, id: string = host.entropy.uuid()): string {
  return JSON.stringify({ v: 1, id, actor: { kind: 'user', id: 'e2e' }, command });
}

async function ask(runId: string, payload: string): Promise<Answered> {
  const subject = requestSubject.build(runAddress('default', runId));
  return JSON.parse(await connection.bus.request(subject, payload, { timeoutMs: TIMEOUT_MS })) as Answered;
}

function newRunId(): string {
  return randomUUID().replaceAll('-', '');
}

describe('on the bus itself', () => {
  it('a report under an epoch that is over is refused, and changes nothing', async () => {
    const runId = await world.start('sleeper', { ms: 60_000 });
    await world.until(runId, ofType('TimerSet'));
    const before = await world.facts(runId);
    const report = { type: 'RecordProgress', epoch: 99, seq: 1, entries: [{ type: 'completed', output: 'forged' }] };
    expect(await ask(runId, envelope(report))).toMatchObject({ ok: false, error: { code: 'StaleEpoch' } });
    expect(await ask(runId, envelope({ ...report, epoch: 1, seq: 7 }))).toMatchObject({ ok: false });
    expect(await world.facts(runId)).toEqual(before);
  });

  it('a command that is repeated changes nothing and gets its first answer', async () => {
    const runId = newRunId();
    const start = envelope({ type: 'StartRun', name: 'sleeper', input: { ms: 60_000 } });
    const first = await ask(runId, start);
    expect(first).toMatchObject({ ok: true, value: { runId, started: true } });
    expect(await ask(runId, start)).toEqual(first);
    await world.until(runId, ofType('TimerSet'));
    const cancel = envelope({ type: 'CancelRun', reason: 'once' });
    expect(await ask(runId, cancel)).toMatchObject({ ok: true });
    await world.ended(runId);
    expect(await ask(runId, cancel)).toMatchObject({ ok: true });
    const facts = await world.facts(runId);
    expect(facts.filter(ofType('RunRequested'))).toHaveLength(1);
    expect(facts.filter(ofType('RunCancelRequested'))).toHaveLength(1);
  });

  it.each([
    { what: 'an unknown version', payload: JSON.stringify({ v: 2, id: randomUUID() }), code: 'UnsupportedVersion' },
    { what: 'something that is not JSON', payload: '{"v":1,', code: 'MalformedRequest' },
    { what: 'an unknown command', payload: envelope({ type: 'DropTables' }), code: 'MalformedRequest' },
    { what: 'an id that is none', payload: envelope({ type: 'GetRun' }, 'one'), code: 'MalformedRequest' },
    {
      what: 'an input that is too large',
      payload: envelope({ type: 'StartRun', name: 'adder', input: 'x'.repeat(3_500_000) }),
      code: 'PayloadTooLarge',
    },
  ])('$what is refused with a typed error', async ({ payload, code }) => {
    const { ok, error } = await ask(newRunId(), payload);
    expect({ ok, code: error?.code, reaction: error?.reaction }).toEqual({ ok: false, code, reaction: 'terminal' });
    expect(error?.message).not.toBe('');
  });

  it('a durable command that nobody can read becomes a dead letter and blocks nothing', async () => {
    const dead = new Promise<string>((resolve) => {
      connection.bus.subscribe('perdure.dead.>', (message) => resolve(message.subject));
    });
    await connection.flush();
    const poisoned = newRunId();
    const subjectOf = (runId: string): string => commandSubject.build(runAddress('default', runId));
    await connection.commands.publish(subjectOf(poisoned), 'no JSON at all', { messageId: randomUUID() });
    const runId = newRunId();
    const start = envelope({ type: 'StartRun', name: 'adder', input: { left: 3, right: 4 } });
    await connection.commands.publish(subjectOf(runId), start, { messageId: randomUUID() });
    expect(await dead).toContain(poisoned);
    await world.until(runId, ofType('RunCompleted'));
  });
});
