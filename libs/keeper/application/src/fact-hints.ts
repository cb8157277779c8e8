import type { Bus, BusMessage, Host, Subscription } from '@perdure/kernel';
import { eventSubject, publishedFact, runStream, type PublishedFact } from '@perdure/run-contract';

/**
 * The fast path of a keeper: published facts of its types, as they pass. A hint may be lost, late, repeated or wrong;
 * the log follower tells the truth later. So nothing that is wrong with one may stop anything.
 */
export function followHints(
  ports: { readonly bus: Bus; readonly host: Host },
  types: readonly string[],
  onFact: (fact: PublishedFact) => void,
): Subscription {
  const handle = (message: BusMessage): void => {
    try {
      const fact = publishedFact.parse(JSON.parse(message.payload));
      const said = eventSubject.build(runStream.parse(fact.stream), fact.type);
      if (said !== message.subject) throw new TypeError(`it says that it belongs on ${said}`);
      onFact(fact);
    } catch (error) {
      ports.host.log.warn('a published fact was not understood; the log will tell', {
        subject: message.subject,
        error: String(error).slice(0, 500),
      });
    }
  };
  const subscriptions = types.map((type) => ports.bus.subscribe(eventSubject.ofType(type), handle));
  return {
    close: async () => {
      await Promise.all(subscriptions.map((subscription) => subscription.close()));
    },
  };
}
