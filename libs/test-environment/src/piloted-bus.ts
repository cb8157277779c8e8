import type { Bus } from '@perdure/kernel';
import type { Patience, Pilot } from './pilot';

/** The bus of whoever tests: while an answer is waited for, time may pass. */
export function pilotedBus(bus: Bus, pilot: Pilot, patience?: Patience): Bus {
  return {
    publish: (...message) => bus.publish(...message),
    subscribe: (...subscription) => bus.subscribe(...subscription),
    onReconnect: (listener) => bus.onReconnect(listener),
    request: (...question) =>
      new Promise((resolve, reject) => {
        const journey = { strand: reject, ...(patience === undefined ? {} : { patience }) };
        pilot.join(journey);
        bus
          .request(...question)
          .then(resolve, reject)
          .finally(() => pilot.leave(journey));
      }),
  };
}
