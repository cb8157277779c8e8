import { systemHost } from '@perdure/platform-host-node';
import { busContract } from '@perdure/testing';
import { MemoryBroker } from './memory-broker';

busContract('memory', async () => {
  const host = systemHost({ service: 'spec', write: () => undefined });
  const broker = new MemoryBroker({ timers: host.timers });
  return {
    connect: async (name) => {
      const connection = broker.connect(name);
      return {
        bus: connection.bus,
        facts: connection.facts,
        commands: connection.commands,
        keyValue: (bucket) => connection.keyValue(bucket),
        flush: async () => undefined,
        close: () => connection.close(),
      };
    },
    restartBroker: async () => broker.restart(),
    wipeBroker: async () => broker.wipe(),
    storedFactIds: async () => broker.facts.map(({ messageId }) => messageId),
    deadLetters: async () => broker.deadLetters,
    stop: async () => undefined,
  };
});
