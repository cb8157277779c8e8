import { execFile } from 'node:child_process';
import { get } from 'node:http';
import { promisify } from 'node:util';
import { NatsServerMissing, NatsServerTooOld } from './stack.errors';

export const NATS_VERSION_MIN = '2.12.0';

/**
 * Ends the server when our end of its standard input closes, however we ended; ends itself when the
 * server does. The first line says which process is the server, for those who watch or kill it.
 */
const WRAPPER = `
exec 3<&0
"$@" </dev/null &
server=$!
printf '{"ready":true,"pid":%s}\\n' "$server"
trap 'kill -TERM "$server" 2>/dev/null' TERM INT HUP
guard() {
  read -r _ <&3
  kill -TERM "$server"
  tries=0
  while kill -0 "$server" && [ "$tries" -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
  [ "$tries" -lt 50 ] || kill -KILL "$server"
}
guard >/dev/null 2>&1 &
guard=$!
exec 3<&-
while kill -0 "$server" 2>/dev/null; do wait "$server"; code=$?; done
kill "$guard" 2>/dev/null
exit "$code"
`;

export function natsCommand(
  natsServer: string,
  configFile: string,
): { readonly command: string; readonly args: readonly string[] } {
  return { command: '/bin/sh', args: ['-c', WRAPPER, 'perdure-nats', natsServer, '-c', configFile] };
}

/** @throws NatsServerMissing, NatsServerTooOld */
export async function requireNatsServer(path: string): Promise<string> {
  if (path === '') throw new NatsServerMissing(path, 'no path is given');
  const said = await promisify(execFile)(path, ['--version'], { timeout: 5_000 }).catch((thrown: NodeJS.ErrnoException) => {
    throw new NatsServerMissing(
      path,
      thrown.code === 'ENOENT' ? 'there is no such file' : `it does not run here (${thrown.message.split('\n')[0]})`,
    );
  });
  const version = /v(\d+\.\d+\.\d+)/.exec(said.stdout)?.[1];
  if (version === undefined)
    throw new NatsServerMissing(path, `it says ${JSON.stringify(said.stdout.slice(0, 80))}, not its version`);
  if (older(version, NATS_VERSION_MIN)) throw new NatsServerTooOld(path, version, NATS_VERSION_MIN);
  return version;
}

function older(left: string, right: string): boolean {
  const [a, b] = [left, right].map((version) => version.split('.').map(Number));
  for (let part = 0; part < 3; part += 1) {
    const difference = (a?.[part] ?? 0) - (b?.[part] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

/** Whether the broker is up and has its JetStream: it switches it off by itself when its disk is full. */
export function natsHealthy(monitorPort: number): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get(
      { host: '127.0.0.1', port: monitorPort, path: '/healthz?js-enabled-only=true', timeout: 1_000 },
      (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      },
    );
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(false));
  });
}
