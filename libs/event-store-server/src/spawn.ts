import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** Beside this file in the build; from the sources, the build of them. */
const ENTRY = join(__dirname, '..', 'dist', 'main.js');

export interface EventStoreProcessOptions {
  readonly dataDir: string;
  /** 0 = any free port. */
  readonly port?: number;
  readonly host?: string;
}

export interface EventStoreProcess {
  readonly port: number;
  readonly processId: number;
  readonly connectionString: string;
  /** Resolves when the process has ended, with its exit code (null after a signal). */
  readonly exited: Promise<number | null>;
  /** Ends it cleanly. */
  stop(): Promise<void>;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
}

/** The server in a process of its own, which dies with this one. */
export async function spawnEventStoreServer(options: EventStoreProcessOptions): Promise<EventStoreProcess> {
  const { dataDir, port = 0, host = '127.0.0.1' } = options;
  const args = [ENTRY, '--data', dataDir, '--port', String(port), '--host', host, '--lifeline'];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const ready = await readiness(child, exited);
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal);
    await exited;
  };
  return {
    port: ready.port,
    processId: ready.pid,
    connectionString: `esdb://${host}:${ready.port}?tls=false`,
    exited,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  };
}

async function readiness(child: ChildProcess, exited: Promise<number | null>): Promise<{ port: number; pid: number }> {
  let complaint = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-4000);
  });
  child.stdin?.on('error', () => undefined);
  const first = new Promise<string>((resolve) => {
    if (child.stdout !== null) createInterface({ input: child.stdout }).once('line', resolve);
  });
  const line = await Promise.race([first, exited.then(() => undefined)]);
  if (line !== undefined) return JSON.parse(line) as { port: number; pid: number };
  throw new Error(complaint.trim() === '' ? 'The event store server ended before it was ready.' : complaint.trim());
}
