import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type EventStoreServerError } from './errors';
import { type RunningEventStoreServer, startEventStoreServer } from './server';

const USAGE = 'usage: event-store-server --data DIR [--port N] [--host ADDRESS] [--port-file FILE] [--lifeline]';

function readArguments(): { data: string; port: number; host: string; portFile: string | undefined; lifeline: boolean } {
  const { values } = parseArgs({
    options: {
      data: { type: 'string' },
      port: { type: 'string', default: '0' },
      host: { type: 'string', default: '127.0.0.1' },
      'port-file': { type: 'string' },
      lifeline: { type: 'boolean', default: false },
    },
  });
  const port = Number(values.port);
  if (values.data === undefined || !Number.isInteger(port) || port < 0 || port > 65_535) throw new TypeError(USAGE);
  return { data: values.data, port, host: values.host, portFile: values['port-file'], lifeline: values.lifeline };
}

function fail(error: unknown): never {
  const name = error instanceof Error ? error.name : 'Error';
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`${name}: ${message}\n`);
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

async function main(): Promise<void> {
  const { data, port, host, portFile, lifeline } = readArguments();
  // After a failed sync nobody may be told anything more: what is stored is unknown.
  const onFailed = (error: EventStoreServerError): void => fail(error);
  const server = await startEventStoreServer({ dataDir: data, port, host, onFailed });
  if (portFile !== undefined) writeFileSync(portFile, String(server.port));
  stopOnRequest(server, lifeline);
  process.stdout.write(`${JSON.stringify({ ready: true, port: server.port, pid: process.pid })}\n`);
}

main().catch(fail);
