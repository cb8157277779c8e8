import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type EventStoreServerError } from './errors';
import { type EventStoreServerOptions, type RunningEventStoreServer, startEventStoreServer } from './server';

const USAGE = `usage: event-store-server --data DIR [--port N] [--host ADDRESS] [--tls-cert FILE --tls-key FILE]
       [--credentials FILE] [--port-file FILE] [--lifeline]`;

interface Arguments extends EventStoreServerOptions {
  readonly portFile: string | undefined;
  readonly lifeline: boolean;
}

function readArguments(args: readonly string[]): Arguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      data: { type: 'string' },
      port: { type: 'string', default: '0' },
      host: { type: 'string', default: '127.0.0.1' },
      'tls-cert': { type: 'string' },
      'tls-key': { type: 'string' },
      credentials: { type: 'string' },
      'port-file': { type: 'string' },
      lifeline: { type: 'boolean', default: false },
    },
  });
  const { data, host, credentials, lifeline, 'tls-cert': certFile, 'tls-key': keyFile } = values;
  const port = Number(values.port);
  const hasPort = Number.isInteger(port) && port >= 0 && port <= 65_535;
  if (data === undefined || !hasPort || (certFile === undefined) !== (keyFile === undefined)) throw new TypeError(USAGE);
  return {
    dataDir: data,
    port,
    host,
    ...(certFile === undefined || keyFile === undefined ? {} : { tls: { certFile, keyFile } }),
    ...(credentials === undefined ? {} : { credentialsFile: credentials }),
    portFile: values['port-file'],
    lifeline,
  };
}

function complain(error: unknown): void {
  const name = error instanceof Error ? error.name : 'Error';
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`${name}: ${message}\n`);
}

function fail(error: unknown): never {
  complain(error);
  process.exit(error instanceof TypeError ? 2 : 1);
}

function stopOnRequest(server: RunningEventStoreServer, lifeline: boolean): void {
  let isStopping = false;
  const stop = (): void => {
    if (isStopping) return;
    isStopping = true;
    server.close().then(() => process.exit(0), fail);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  if (!lifeline) return;
  process.stdin.on('end', stop).on('close', stop).on('error', stop);
  process.stdin.resume();
}

function reloadOnRequest(server: RunningEventStoreServer): void {
  // There it means that the terminal is gone.
  if (process.stdin.isTTY) return;
  process.on('SIGHUP', () => {
    try {
      server.reload();
    } catch (error) {
      complain(error);
    }
  });
}

async function serve(args: readonly string[]): Promise<void> {
  const { portFile, lifeline, ...options } = readArguments(args);
  // After a failed sync nobody may be told anything more: what is stored is unknown.
  const onFailed = (error: EventStoreServerError): void => fail(error);
  const server = await startEventStoreServer({ ...options, onFailed, onComplaint: complain });
  if (portFile !== undefined) writeFileSync(portFile, String(server.port));
  stopOnRequest(server, lifeline);
  reloadOnRequest(server);
  process.stdout.write(`${JSON.stringify({ ready: true, port: server.port, pid: process.pid })}\n`);
}

/** Makes this process the server: it ends when it is told to, or when it cannot go on, with an exit code that says which. */
export function runEventStoreServer(args: readonly string[]): void {
  serve(args).catch(fail);
}
