import { Terminal, type Host } from '@perdure/kernel';
import { connectBus, type BusConnection } from '@perdure/platform-bus-jetstream';

/** How workers and clients reach the bus. */
export interface ConnectionOptions {
  /** `nats://host:port`, with credentials if it has any; default: the environment variable PERDURE_NATS_URL. */
  readonly url?: string;
  readonly user?: string;
  readonly pass?: string;
}

export interface ResolvedConnection {
  readonly url: string;
  readonly user?: string;
  readonly pass?: string;
}

/** @throws Terminal `UrlMissing` */
export function resolveConnection(given: ConnectionOptions): ResolvedConnection {
  const text = given.url ?? process.env['PERDURE_NATS_URL'];
  if (text === undefined || text === '') {
    throw new Terminal(
      'UrlMissing',
      'Say where the bus is: pass url, or set PERDURE_NATS_URL. A running `perdure dev` prints it.',
    );
  }
  const url = new URL(text.includes('://') ? text : `nats://${text}`);
  const user = given.user ?? decodeURIComponent(url.username);
  const pass = given.pass ?? decodeURIComponent(url.password);
  return { url: `${url.protocol}//${url.host}`, ...(user === '' ? {} : { user, pass }) };
}

/** Without rights on streams: requests and messages only. */
export function connect(connection: ResolvedConnection, name: string, host: Host): Promise<BusConnection> {
  return connectBus({ ...connection, name, host, use: 'core' });
}
