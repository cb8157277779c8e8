import { randomBytes } from 'node:crypto';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { systemHost } from '@perdure/platform-host-node';
import { busContract, NatsBroker, type BusFixture } from '@perdure/testing';
import { connectBus } from './connect-bus';
import { fromNatsHeaders } from './requests';
import { natsServerConfig, newBrokerUsers } from './server-config';

/** A broker that deletes or starts may leave a request unanswered: its time limit, and a repetition, must fit in. */
jest.setTimeout(30_000);

const host = systemHost({ service: 'spec', write: () => undefined });

async function openFixture(): Promise<BusFixture> {
  const users = newBrokerUsers(() => randomBytes(16).toString('hex'));
  const broker = await NatsBroker.start((paths) => natsServerConfig({ ...paths, users }));
  const observe = async <T>(look: (nc: NatsConnection) => Promise<T>): Promise<T> => {
    const nc = await connect({ servers: broker.url, ...users.service });
    try {
      return await look(nc);
    } finally {
      await nc.close();
    }
  };
  return {
    connect: (name) => connectBus({ url: broker.url, name, ...users.service, responder: users.responder, host }),
    restartBroker: async () => {
      await broker.kill();
      await broker.launch();
    },
    wipeBroker: async () => {
      await broker.kill();
      broker.wipe();
      await broker.launch();
    },
    storedFactIds: () =>
      observe(async (nc) => (await stored(nc, 'EVENTS', 'perdure.evt.')).map(({ headers }) => headers['Nats-Msg-Id'] ?? '')),
    deadLetters: () => observe((nc) => stored(nc, 'DEAD_LETTERS', 'perdure.dead.')),
    stop: () => broker.stop(),
  };
}

/** Everything in a stream under a subject prefix, by direct gets. */
async function stored(
  nc: NatsConnection,
  stream: string,
  prefix: string,
): Promise<{ payload: string; headers: Readonly<Record<string, string>> }[]> {
  const info = (await nc.request(`$JS.API.STREAM.INFO.${stream}`)).json<{ state: { first_seq: number; last_seq: number } }>();
  const sequences = Array.from({ length: info.state.last_seq }, (_, index) => index + 1).filter(
    (sequence) => sequence >= info.state.first_seq,
  );
  const messages = await Promise.all(
    sequences.map((sequence) =>
      nc.request(`$JS.API.DIRECT.GET.${stream}`, JSON.stringify({ seq: sequence }), { timeout: 10_000 }),
    ),
  );
  return messages
    .map((message) => ({ payload: message.string(), headers: fromNatsHeaders(message.headers) }))
    .filter(({ headers }) => headers['Nats-Subject']?.startsWith(prefix) === true);
}

busContract('JetStream', openFixture);
