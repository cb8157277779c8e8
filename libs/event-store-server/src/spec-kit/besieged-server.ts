import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { EventStoreDBClient, jsonEvent } from '@eventstore/db-client';

const ROOT = join(__dirname, '..', '..', '..', '..');
const ENTRY = join(__dirname, '..', '..', 'dist', 'main.js');
/** The server tells its memory when it is asked; what is garbage does not count. */
const PROGRAM = `process.on('SIGUSR2', () => { gc(); gc(); console.log(JSON.stringify(process.memoryUsage())); }); require(${JSON.stringify(ENTRY)});`;
/** A heap that grows without bound ends the process. */
const HEAP_MEGABYTES = 512;
const MEGABYTE = 1024 * 1024;

/** A server in a process of its own, to be attacked. */
export class BesiegedServer {
  private attempts = 0;

  private constructor(
    readonly port: number,
    private readonly child: ChildProcess,
    private readonly parts: { readonly lines: Interface; readonly folder: string },
  ) {}

  static build(): void {
    execFileSync(process.execPath, [join(ROOT, 'tools', 'build.mjs')], { stdio: 'ignore' });
  }

  static async start(): Promise<BesiegedServer> {
    const folder = mkdtempSync(join(tmpdir(), 'perdure-besieged-'));
    const flags = ['--expose-gc', `--max-old-space-size=${HEAP_MEGABYTES}`, '--eval', PROGRAM, '--'];
    const args = [ENTRY, '--data', folder, '--lifeline'];
    const child = spawn(process.execPath, [...flags, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface({ input: child.stdout as NonNullable<typeof child.stdout> });
    const line = await new Promise<string>((resolve, reject) => {
      lines.once('line', resolve);
      lines.once('close', () => reject(new Error('the server ended before it served')));
    });
    return new BesiegedServer((JSON.parse(line) as { port: number }).port, child, { lines, folder });
  }

  /** What the process holds: heap, and buffers outside of it. */
  async megabytes(): Promise<number> {
    const line = new Promise<string>((resolve) => this.parts.lines.once('line', resolve));
    this.child.kill('SIGUSR2');
    const { heapUsed, external } = JSON.parse(await line) as NodeJS.MemoryUsage;
    return (heapUsed + external) / MEGABYTE;
  }

  /** A normal client, new to the server, is served. @throws when it is not */
  async serves(): Promise<boolean> {
    this.attempts += 1;
    const stream = `normal-${this.attempts}`;
    const client = EventStoreDBClient.connectionString(`esdb://127.0.0.1:${this.port}?tls=false`);
    try {
      await client.appendToStream(stream, jsonEvent({ type: 'Normal', data: { attempt: this.attempts } }));
      const found: unknown[] = [];
      for await (const { event } of client.readStream(stream)) found.push(event?.data);
      return JSON.stringify(found) === JSON.stringify([{ attempt: this.attempts }]) && this.child.exitCode === null;
    } finally {
      await client.dispose();
    }
  }

  async stop(): Promise<void> {
    const exited = new Promise((resolve) => this.child.once('exit', resolve));
    if (this.child.exitCode === null && this.child.kill('SIGKILL')) await exited;
    rmSync(this.parts.folder, { recursive: true, force: true });
  }
}
