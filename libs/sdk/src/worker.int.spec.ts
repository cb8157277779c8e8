import { delay, type Subscription } from '@perdure/kernel';
import { connectBus, natsServerConfig, newBrokerUsers, type BusConnection } from '@perdure/platform-bus-jetstream';
import { systemHost } from '@perdure/platform-host-node';
import { heartbeat, heartbeatSubject, type Heartbeat } from '@perdure/run-contract';
import { tenantEnvelope, tenantPartitionSubject } from '@perdure/tenant-contract';
import { NatsBroker } from '@perdure/testing';
import { z } from 'zod';
import { Worker } from './worker';
import { workflow } from './workflow';

const host = systemHost({ service: 'spec', write: () => undefined });
const users = newBrokerUsers(() => host.entropy.uuid());
const noop = workflow({ name: 'noop', input: z.unknown() }, () => null);

describe('a worker on a real broker', () => {
  let broker: NatsBroker;
  let services: BusConnection;
  let subscriptions: Subscription[];
  let heartbeats: Heartbeat[];

  beforeAll(async () => {
    broker = await NatsBroker.start((paths) => natsServerConfig({ ...paths, users }));
    services = await connectBus({ url: broker.url, ...users.service, name: 'spec', host, use: 'core' });
    heartbeats = [];
    const registry = Array.from({ length: 256 }, (_, partition) =>
      services.bus.subscribe(tenantPartitionSubject.build(partition), (message) => {
        tenantEnvelope.parse(JSON.parse(message.payload));
        message.respond('{"ok":true,"value":{}}');
      }),
    );
    subscriptions = [
      ...registry,
      services.bus.subscribe(heartbeatSubject.all, ({ payload }) => void heartbeats.push(heartbeat.parse(JSON.parse(payload)))),
    ];
    await services.flush();
  });

  afterAll(async () => {
    for (const subscription of subscriptions) await subscription.close();
    await services.close();
    await broker.kill();
  });

  /** Polls what the broker has brought so far. */
  async function seen(matches: (heartbeat: Heartbeat) => boolean): Promise<Heartbeat> {
    for (;;) {
      const found = heartbeats.find(matches);
      if (found !== undefined) return found;
      await delay(host, 20);
    }
  }

  it('registers, says that it lives even while its main thread is blocked, and says goodbye', async () => {
    const { user, pass } = users.worker;
    const worker = new Worker({
      url: broker.url,
      user,
      pass,
      workerId: 'w1',
      behaviours: [noop],
      slots: 7,
      handleSignals: false,
      host,
    });
    await worker.start();
    expect(await seen(({ workerId }) => workerId === 'w1')).toMatchObject({
      hosts: ['noop'],
      slots: 7,
      freeSlots: 7,
      draining: false,
      leaving: false,
    });
    const blockedUntilMs = performance.now() + 1_200;
    while (performance.now() < blockedUntilMs);
    expect((await seen(({ loopLagMs }) => loopLagMs > 400)).workerId).toBe('w1');
    await worker.stop();
    expect(await seen(({ leaving }) => leaving)).toMatchObject({ draining: true, freeSlots: 0 });
  });
});
