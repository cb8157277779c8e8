import { BlockList, isIP } from 'node:net';
import { EventStoreServerError } from '../errors';

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/** A name is not taken for one, whatever it resolves to at the moment. */
export function isLoopback(host: string): boolean {
  const version = isIP(host);
  return version !== 0 && LOOPBACK.check(host, version === 4 ? 'ipv4' : 'ipv6');
}

/** @throws EventStoreServerError `HostNotProtected` when others could reach a server that lets everybody in */
export function checkHost(host: string, protection: { readonly hasTls: boolean; readonly hasCredentials: boolean }): void {
  const { hasTls, hasCredentials } = protection;
  if (isLoopback(host) || (hasTls && hasCredentials)) return;
  const missing = [
    ...(hasCredentials ? [] : ['credentials (--credentials FILE; `perdure store user` writes it)']),
    ...(hasTls ? [] : ['TLS (--tls-cert FILE --tls-key FILE; without it the official client sends no credentials)']),
  ];
  throw new EventStoreServerError(
    'HostNotProtected',
    `The event store does not listen on ${host} without ${missing.join(' and ')}: add that, or listen on 127.0.0.1.`,
  );
}

const WILDCARDS: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

/** How this machine reaches a server that listens on `host`. */
export function reachableHost(host: string): string {
  return WILDCARDS[host] ?? host;
}

export function urlHost(host: string): string {
  return isIP(host) === 6 ? `[${host}]` : host;
}
