import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SupervisedChild, type ChildEvent } from './child';
import { lockDataDir, prepareDataDir } from './data-dir';
import { natsCommand, requireNatsServer } from './nats';
import { freePort, preferPort, requirePort } from './ports';
import { identityOf, isAlive } from './proc';
import { startStack } from './stack';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'perdure-stack-spec-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Says that it is ready, and lives until its lifeline ends. */
const LIVES = `process.stdin.on('end', () => process.exit(0)).resume(); process.stdout.write(JSON.stringify({ ready: true }) + '\\n');`;

function childOf(code: string, events: ChildEvent[] = []): SupervisedChild {
  const program = { name: 'child', command: process.execPath, args: ['-e', code], env: {}, logFile: join(folder, 'child.log') };
  return new SupervisedChild(program, (event) => events.push(event));
}

function script(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return path;
}

describe('a supervised child', () => {
  it('is started again when it was killed, and ended by stop', async () => {
    const events: ChildEvent[] = [];
    const child = childOf(LIVES, events);
    await child.start();
    const pid = child.kill('SIGKILL');
    const { pid: next } = await child.replaced(pid);
    await child.stop();
    expect(events.map(({ type }) => type)).toEqual(['started', 'died', 'started', 'died']);
    expect(isAlive(identityOf(next))).toBe(false);
  });

  it('stays down when it was killed for good, until it is revived', async () => {
    const child = childOf(LIVES);
    await child.start();
    child.kill('SIGKILL', { restart: false });
    await child.down();
    child.revive();
    expect((await child.replaced(0)).state).toBe('ready');
    await child.stop();
  });

  it('says why it did not start, with what it said last', async () => {
    await expect(childOf(`process.stderr.write('no disk', () => process.exit(3))`).start()).rejects.toMatchObject({
      code: 'ChildDidNotStart',
      message: expect.stringContaining('no disk') as string,
    });
  });
});

describe('the wrapper of the broker', () => {
  it('ends the broker when whoever holds its standard input is gone', async () => {
    const broker = script('broker', 'exec sleep 600');
    const { command, args } = natsCommand(broker, 'none');
    const wrapper = spawn(command, args, { stdio: ['pipe', 'pipe', 'ignore'] });
    const line = await new Promise<string>((resolve) =>
      wrapper.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString())),
    );
    const broken = identityOf((JSON.parse(line) as { pid: number }).pid);
    const ended = new Promise((resolve) => wrapper.once('exit', resolve));
    wrapper.stdin.destroy();
    await ended;
    expect(isAlive(broken)).toBe(false);
  });
});

describe('starting a stack', () => {
  const options = (dataDir: string, natsServer: string) => ({
    form: 'dev' as const,
    dataDir,
    entry: __filename,
    workers: 0,
    natsServer,
  });

  it('refuses a data directory that another stack uses', async () => {
    prepareDataDir(folder);
    const unlock = await lockDataDir(folder);
    await expect(lockDataDir(folder)).rejects.toMatchObject({ code: 'DataDirInUse', details: { pid: process.pid } });
    unlock();
  });

  it('takes over the lock of a launcher that was killed', async () => {
    prepareDataDir(folder);
    writeFileSync(join(folder, 'stack.lock'), JSON.stringify({ pid: process.pid, startTicks: 1 }));
    const unlock = await lockDataDir(folder);
    expect(JSON.parse(readFileSync(join(folder, 'stack.lock'), 'utf8'))).toEqual(identityOf(process.pid));
    unlock();
  });

  it('ends what a launcher that was killed left behind', async () => {
    prepareDataDir(folder);
    const stray = spawn(process.execPath, ['-e', LIVES], { stdio: ['pipe', 'pipe', 'ignore'] });
    await new Promise((resolve) => stray.stdout.once('data', resolve));
    const ended = new Promise((resolve) => stray.once('exit', resolve));
    writeFileSync(join(folder, 'stack.json'), JSON.stringify({ children: [{ name: 'stray', ...identityOf(stray.pid ?? 0) }] }));
    (await lockDataDir(folder))();
    await ended;
  }, 20_000);

  it('refuses a data directory that cannot be one', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    await expect(startStack(options(join(file, 'data'), 'none'))).rejects.toMatchObject({
      code: 'DataDirUnusable',
      message: expect.stringContaining('--data') as string,
    });
  });

  it('refuses an old broker, and one that is not there', async () => {
    await expect(requireNatsServer(script('old', 'echo "nats-server: v2.9.10"'))).rejects.toMatchObject({
      code: 'NatsServerTooOld',
    });
    await expect(requireNatsServer(join(folder, 'nothing'))).rejects.toMatchObject({ code: 'NatsServerMissing' });
    await expect(startStack(options(join(folder, 'data'), ''))).rejects.toMatchObject({ code: 'NatsServerMissing' });
  });

  it('refuses an entry that does not exist', async () => {
    mkdirSync(join(folder, 'data'));
    await expect(startStack({ ...options(join(folder, 'data'), ''), entry: join(folder, 'none.ts') })).rejects.toMatchObject({
      code: 'EntryMissing',
    });
  });

  it('refuses a port that is taken when it was asked for, and finds another when it was not', async () => {
    const port = await freePort();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    await expect(requirePort(port)).rejects.toMatchObject({ code: 'PortTaken' });
    expect(await preferPort(port)).not.toBe(port);
    await new Promise((resolve) => server.close(resolve));
  });
});
