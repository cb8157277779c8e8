import { spawn, type ChildProcess } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isAlive, readStackState, ROOT, type StackState } from '@perdure/cli';
import { NATS_SERVER, newFolder } from '../rig/fresh-stack';

const CLI = join(ROOT, 'apps/cli/dist/main.js');
const UNAVAILABLE = 3;
const LOOK_EVERY_MS = 25;

let folder: string;
const children: ChildProcess[] = [];
beforeEach(() => {
  folder = newFolder('launcher');
});
afterEach(async () => {
  for (const child of children.splice(0)) await ended(child, 'SIGTERM');
  rmSync(folder, { recursive: true, force: true });
});

function launch(...args: readonly string[]): ChildProcess & { readonly said: string[] } {
  const said: string[] = [];
  const child = spawn(process.execPath, [CLI, ...args], {
    cwd: folder,
    env: { ...process.env, PERDURE_NATS_SERVER: NATS_SERVER },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  child.stdout.on('data', (chunk: Buffer) => said.push(chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => said.push(chunk.toString()));
  return Object.assign(child, { said });
}

async function ended(child: ChildProcess, signal?: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const exit = new Promise<number | null>((resolve) => child.once('close', resolve));
  if (signal) child.kill(signal);
  return exit;
}

async function outcomeOf(...args: readonly string[]): Promise<{ readonly code: number | null; readonly said: string }> {
  const child = launch(...args);
  const code = await ended(child);
  return { code, said: child.said.join('') };
}

/** The stack that a launcher has brought up. */
async function stackOf(launcher: ReturnType<typeof launch>, dataDir: string): Promise<StackState> {
  while (launcher.exitCode === null) {
    const state = readStackState(dataDir);
    if (state && state.launcher.pid === launcher.pid) return state;
    await pause(LOOK_EVERY_MS);
  }
  throw new Error(launcher.said.join(''));
}

describe('the launcher', () => {
  it('killed with -9 leaves nothing running, and its data can be used again', async () => {
    const data = join(folder, 'data');
    const first = launch('dev', '--data', data, '--port', '0');
    const { children: processes } = await stackOf(first, data);
    expect(processes.length).toBeGreaterThanOrEqual(4);
    const second = await outcomeOf('dev', '--data', data, '--port', '0');
    expect(second).toMatchObject({ code: UNAVAILABLE, said: expect.stringContaining('DataDirInUse') as string });
    await ended(first, 'SIGKILL');
    while (processes.some(isAlive)) await pause(LOOK_EVERY_MS);
    const third = launch('dev', '--data', data, '--port', '0');
    const again = await stackOf(third, data);
    expect(await ended(third, 'SIGINT')).toBe(0);
    expect(again.children.filter(isAlive)).toEqual([]);
  });

  it('says what to do when its data directory is a file, or its port is taken', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    expect(await outcomeOf('dev', '--data', file, '--port', '0')).toMatchObject({
      code: UNAVAILABLE,
      said: expect.stringMatching(/DataDirUnusable[\s\S]*--data/) as string,
    });
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    expect(await outcomeOf('dev', '--data', join(folder, 'data'), '--port', String(port))).toMatchObject({
      code: UNAVAILABLE,
      said: expect.stringMatching(/PortTaken[\s\S]*--port/) as string,
    });
    await new Promise((resolve) => server.close(resolve));
  });
});
