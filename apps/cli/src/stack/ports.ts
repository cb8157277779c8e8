import { createServer } from 'node:net';
import { PortTaken } from './stack.errors';

const LOOPBACK = '127.0.0.1';

/** Where the gateway of `perdure dev` is when nobody says otherwise and the port is free. */
export const GATEWAY_PORT_DEFAULT = 7610;

export function freePort(): Promise<number> {
  return listenOnce(0);
}

/** @throws PortTaken */
export async function requirePort(port: number): Promise<number> {
  try {
    return await listenOnce(port);
  } catch {
    throw new PortTaken(port, 'Choose another with --port N, or leave --port out to get a free one.');
  }
}

export async function preferPort(port: number): Promise<number> {
  try {
    return await listenOnce(port);
  } catch {
    return freePort();
  }
}

function listenOnce(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, LOOPBACK, () => {
      const address = server.address();
      const found = address !== null && typeof address === 'object' ? address.port : port;
      server.close(() => resolve(found));
    });
  });
}
