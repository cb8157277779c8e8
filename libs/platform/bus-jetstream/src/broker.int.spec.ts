import { randomBytes } from 'node:crypto';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { delay, partitionOf, token } from '@perdure/kernel';
import { systemHost } from '@perdure/platform-host-node';
import { NatsBroker } from '@perdure/testing';
import { connectBus, type BusConnection } from './connect-bus';
import { disconnectFeed } from './disconnect-feed';
import { natsServerConfig, newBrokerUsers, type BrokerUser } from './server-config';

/** A broker that deletes or starts may leave a request unanswered: its time limit, and a repetition, must fit in. */
jest.setTimeout(30_000);

const TIMEOUT_MS = 2_000;

describe('the broker as we configure it', () => {
  const logged: string[] = [];
  const host = systemHost({ service: 'spec', write: (line) => void logged.push(line) });
  const users = newBrokerUsers(() => randomBytes(16).toString('hex'));
  let broker: NatsBroker;
  let service: BusConnection;
  const raw: NatsConnection[] = [];

  const connectAs = async (user: BrokerUser, name: string): Promise<NatsConnection> => {
    const nc = await connect({ servers: broker.url, name, ...user });
    raw.push(nc);
    return nc;
  };

  beforeAll(async () => {
    broker = await NatsBroker.start((paths) => natsServerConfig({ ...paths, users }));
    service = await connectBus({ url: broker.url, name: 'service', ...users.service, responder: users.responder, host });
  });

  afterAll(async () => {
    for (const nc of raw) await nc.close();
    await service.close();
    await broker.stop();
  });

  it('computes the same partition as the kernel, for thousands of ids', async () => {
    const found: string[] = [];
    const ids = Array.from({ length: 3_000 }, (_, index) =>
      index % 2 === 0 ? host.entropy.uuid() : randomBytes((index % 40) + 1).toString('base64url'),
    );
    const subscription = service.bus.subscribe('perdure.part.*.req.*.run.*', ({ subject }) => void found.push(subject));
    await service.flush();
    for (const id of ids) service.bus.publish(`perdure.req.acme.run.${id}`, '');
    await service.flush();
    expect(found).toEqual(ids.map((id) => `perdure.part.${partitionOf(token(id, 'id'))}.req.acme.run.${id}`));
    await subscription.close();
  });

  it('does not let a reply subject command JetStream', async () => {
    const subscription = service.bus.subscribe('perdure.svc.echo', (message) => message.respond(message.payload));
    service.facts.publish([{ subject: 'perdure.evt.acme.run.run-requested.r1', payload: '{}', messageId: 'f1', headers: {} }]);
    await service.facts.confirm();
    const worker = await connectAs(users.worker, 'hostile');
    for (const reply of ['$JS.API.STREAM.PURGE.EVENTS', 'perdure.evt.acme.run.forged.r1', '$KV.perdure-map.orchestrator']) {
      worker.publish('perdure.svc.echo', '{}', { reply });
    }
    await worker.flush();
    expect(await service.bus.request('perdure.svc.echo', 'still here', { timeoutMs: TIMEOUT_MS })).toBe('still here');
    const observer = await connectAs(users.service, 'observer');
    const info = (await observer.request('$JS.API.STREAM.INFO.EVENTS')).json<{ state: { messages: number } }>();
    // The fact and the marker of its confirmation.
    expect(info.state.messages).toBe(2);
    expect(logged.filter((line) => line.includes('Refused to answer outside the private inboxes')).length).toBe(3);
    await subscription.close();
  });

  it('gives the connection that answers no right to do anything else', async () => {
    const responder = await connectAs(users.responder, 'responder');
    const refusals: string[] = [];
    void (async () => {
      for await (const status of responder.status()) if (status.type === 'error') refusals.push(status.error.message);
    })();
    responder.publish('$JS.API.STREAM.PURGE.EVENTS', '');
    responder.publish('perdure.evt.acme.run.forged.r1', '');
    await responder.flush();
    while (refusals.length < 2) await delay(host, 1);
    expect(refusals.every((refusal) => /permission/i.test(refusal))).toBe(true);
  });

  it('lets a worker overhear nothing that is said to the signer, or asked about approvals', async () => {
    const worker = await connectAs(users.worker, 'listener');
    const refused: string[] = [];
    for (const subject of ['perdure.signer.acme', 'perdure.part.*.req.*.approvals.inbox'])
      worker.subscribe(subject, { callback: (error) => void refused.push(`${subject} ${error?.name ?? 'heard'}`) });
    while (refused.length < 2) await delay(host, 1);
    expect(refused).toEqual([
      'perdure.signer.acme PermissionViolationError',
      'perdure.part.*.req.*.approvals.inbox PermissionViolationError',
    ]);
  });

  it('lets a worker ask the owner of a run, and nothing of the streams', async () => {
    const worker = await connectBus({ url: broker.url, name: 'worker', ...users.worker, use: 'core', host });
    const subscription = service.bus.subscribe('perdure.part.*.req.*.run.*', (message) => message.respond('owner'));
    await service.flush();
    expect(await worker.bus.request('perdure.req.acme.run.r1', '', { timeoutMs: TIMEOUT_MS })).toBe('owner');
    await expect(worker.bus.request('$JS.API.STREAM.PURGE.EVENTS', '', { timeoutMs: 50 })).rejects.toMatchObject({
      code: 'RequestTimedOut',
    });
    await subscription.close();
    await worker.close();
  });

  it('tells at once when a client is gone, by its name', async () => {
    const gone: string[] = [];
    const feed = await disconnectFeed({
      url: broker.url,
      name: 'feed',
      system: users.system,
      host,
      onDisconnect: ({ name }) => void gone.push(name),
    });
    const worker = await connect({ servers: broker.url, name: 'worker:w1:s1', ...users.worker });
    await worker.close();
    while (!gone.includes('worker:w1:s1')) await delay(host, 1);
    await feed.close();
  });

  it('says so when the password is wrong', async () => {
    await expect(connectBus({ url: broker.url, name: 'stranger', user: 'service', pass: 'wrong', host })).rejects.toMatchObject({
      code: 'BusUnavailable',
    });
  });

  it('makes a deleted consumer, and a deleted stream, again', async () => {
    const got: string[] = [];
    const consuming = service.commands.consume(
      { name: 'runs', subject: 'perdure.part.*.cmd.*.run.*', concurrency: 2 },
      async (delivery) => {
        got.push(delivery.payload);
        await delivery.ack();
      },
    );
    // While the broker is still deleting it cannot create: the publisher repeats, as every publisher does.
    const publishUntilStored = (payload: string): Promise<void> =>
      service.commands
        .publish('perdure.cmd.acme.run.r1', payload, { messageId: payload })
        .catch(() => publishUntilStored(payload));
    const admin = await connectAs(users.service, 'admin');
    for (const [index, deletion] of ['CONSUMER.DELETE.COMMANDS.runs', 'STREAM.DELETE.COMMANDS'].entries()) {
      await service.commands.publish('perdure.cmd.acme.run.r1', `before-${index}`, { messageId: `before-${index}` });
      while (!got.includes(`before-${index}`)) await delay(host, 1);
      await admin.request(`$JS.API.${deletion}`, '');
      await publishUntilStored(`after-${index}`);
      while (!got.includes(`after-${index}`)) await delay(host, 1);
    }
    await consuming.close();
  });
});
