import type { Host, Subscription } from '@perdure/kernel';
import { Link } from './link';
import type { BrokerUser } from './server-config';

export interface ClientDisconnected {
  /** The name that the client gave itself when it connected. */
  readonly name: string;
  readonly user: string;
  readonly reason: string;
}

interface DisconnectNews {
  readonly client?: { readonly name?: string; readonly user?: string };
  readonly reason?: string;
}

export interface DisconnectFeedOptions {
  readonly url: string;
  readonly name: string;
  readonly system: BrokerUser;
  readonly host: Host;
  onDisconnect(client: ClientDisconnected): void;
}

/** Tells at once when a client's connection has ended. A hint: news may be lost while we are disconnected ourselves. */
export async function disconnectFeed(options: DisconnectFeedOptions): Promise<Subscription> {
  const { url, name, system, host, onDisconnect } = options;
  const link = await Link.dial({ url, name, user: system.user, pass: system.pass, host });
  link.nc.subscribe('$SYS.ACCOUNT.*.DISCONNECT', {
    callback: (error, message) => {
      if (error !== null) return host.log.error('The broker does not tell about lost connections', { error: error.message });
      const news = message.json<DisconnectNews>();
      onDisconnect({ name: news.client?.name ?? '', user: news.client?.user ?? '', reason: news.reason ?? '' });
    },
  });
  await link.nc.flush();
  return { close: () => link.close() };
}
