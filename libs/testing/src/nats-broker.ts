import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const START_DEADLINE_MS = 10_000;
const POLL_MS = 10;

export interface NatsBrokerPaths {
  /** -1 at the first start: any free one. */
  readonly port: number;
  readonly storeDir: string;
  readonly portsFileDir: string;
}

/** A real nats-server for one test file: own folder, loopback, a port that stays the same over restarts. */
export class NatsBroker {
  private readonly folder = mkdtempSync(join(tmpdir(), 'perdure-nats-'));
  private process: ChildProcess | undefined;
  private port = -1;

  private constructor(private readonly configuration: (paths: NatsBrokerPaths) => string) {}

  static async start(configuration: (paths: NatsBrokerPaths) => string): Promise<NatsBroker> {
    const broker = new NatsBroker(configuration);
    await broker.launch();
    return broker;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  async launch(): Promise<void> {
    const config = join(this.folder, 'nats.conf');
    for (const name of readdirSync(this.folder).filter((file) => file.endsWith('.ports'))) rmSync(join(this.folder, name));
    writeFileSync(config, this.configuration({ port: this.port, storeDir: this.storeDir, portsFileDir: this.folder }), {
      mode: 0o600,
    });
    const child = spawn(natsServerPath(), ['-c', config], { stdio: ['ignore', 'ignore', 'pipe'] });
    let errors = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      errors = (errors + chunk.toString()).slice(-4_000);
    });
    this.process = child;
    const deadline = performance.now() + START_DEADLINE_MS;
    for (;;) {
      const port = this.readPort();
      if (port !== undefined) {
        this.port = port;
        return;
      }
      if (child.exitCode !== null || performance.now() > deadline) throw new Error(`nats-server does not start: ${errors}`);
      await new Promise((later) => setTimeout(later, POLL_MS));
    }
  }

  /** Ends the process like a power cut of this process alone. */
  async kill(): Promise<void> {
    const child = this.process;
    this.process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }

  /** Deletes all that the broker has stored. Only while it is down. */
  wipe(): void {
    rmSync(this.storeDir, { recursive: true, force: true });
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  private get storeDir(): string {
    return join(this.folder, 'store');
  }

  private readPort(): number | undefined {
    const file = readdirSync(this.folder).find((name) => name.endsWith('.ports'));
    if (file === undefined) return undefined;
    try {
      const { nats } = JSON.parse(readFileSync(join(this.folder, file), 'utf8')) as { nats: readonly string[] };
      return Number(new URL(nats[0] ?? '').port);
    } catch {
      // Not written to its end yet.
      return undefined;
    }
  }
}

let found: string | undefined;

function natsServerPath(): string {
  if (found === undefined) {
    const search = spawnSync('sh', [resolve(__dirname, '../../../tools/nats-server.sh')], { encoding: 'utf8' });
    if (search.status !== 0) throw new Error(search.stderr);
    found = search.stdout.trim();
  }
  return found;
}
