import { spawn } from 'node:child_process';
import { EXIT } from '../cli.errors';
import { STORE_PROGRAM } from '../stack/programs';

/** The embedded store alone, in the foreground, for other programs to use. */
export function serveStore({ data, port }: { readonly data: string; readonly port: string }): Promise<number> {
  const child = spawn(process.execPath, [STORE_PROGRAM, '--data', data, '--port', port, '--lifeline'], {
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => {
    child.once('exit', (code) => resolve(code ?? EXIT.failed));
  });
}
