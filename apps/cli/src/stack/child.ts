// One supervised process of a stack.
//
// 1. It dies with this process, also when this one is killed: its standard input is a pipe that only we
//    hold, and it ends (or its wrapper ends it) at the end of that input.
// 2. It lives in a session of its own: Ctrl-C at the terminal reaches us alone, and we stop it in order.
// 3. It is restarted when it dies, until `stop`. What dies quickly again and again waits longer each time.
import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream, existsSync, readFileSync, renameSync, statSync, type WriteStream } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ChildDidNotStart, ChildNotReady } from './stack.errors';
import { identityOf, usageOf, type ProcessIdentity, type ProcessUsage } from './proc';

export interface Program {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Asked again and again after the ready line, if there is one to wait for. */
  readonly probe?: () => Promise<boolean>;
  readonly logFile: string;
}

export interface ReadyLine {
  readonly ready: true;
  /** Of the process that matters, when what we started is only its wrapper. */
  readonly pid?: number;
  readonly [field: string]: unknown;
}

export type ChildEvent =
  | { readonly type: 'started'; readonly name: string; readonly pid: number; readonly restarts: number }
  | { readonly type: 'died'; readonly name: string; readonly pid: number; readonly by: string; readonly again: boolean };

export interface ChildInfo extends ProcessIdentity {
  readonly name: string;
  readonly state: 'starting' | 'ready' | 'down';
  readonly restarts: number;
}

const READY_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 8_000;
const LAST_WORDS_MS = 1_000;
const LOG_BYTES_MAX = 16 * 1024 * 1024;
const BACK_OFF_FIRST_MS = 100;
const BACK_OFF_MAX_MS = 3_000;
/** A child that lived this long after it was ready did not die of what it was started with. */
const STEADY_MS = 3_000;
const SAID_LINES = 40;
/** `Name: message`, as errors are written, ours and others'. */
const NAMED_ERROR = /^(?:Uncaught )?[A-Z]\w+: |"level":"error"/;
const EXPLAINING_LINES = 6;
const SAID_CHARACTERS = 600;
const NOTHING: ProcessIdentity = { pid: 0, startTicks: 0 };

export class SupervisedChild {
  private process: ChildProcess | undefined;
  private identity: ProcessIdentity = NOTHING;
  private state: ChildInfo['state'] = 'down';
  private restarts = -1;
  private quickDeaths = 0;
  private readyAtMs = 0;
  private wanted = false;
  private expectedDeath = false;
  private ready: ReadyLine | undefined;
  private readonly log: WriteStream;
  private spentCpuSeconds = 0;
  private lastSample: ProcessUsage | undefined;
  private readonly listeners = new Set<() => void>();

  constructor(
    private readonly program: Program,
    private readonly onEvent: (event: ChildEvent) => void,
  ) {
    rotate(program.logFile);
    this.log = createWriteStream(program.logFile, { flags: 'a' });
    this.log.on('error', () => undefined);
  }

  get name(): string {
    return this.program.name;
  }

  /** What the process said of itself when it became ready last. */
  get readyLine(): ReadyLine | undefined {
    return this.ready;
  }

  info(): ChildInfo {
    return { name: this.name, ...this.identity, state: this.state, restarts: Math.max(0, this.restarts) };
  }

  /** CPU counts all incarnations, memory the present one. */
  usage(): ProcessUsage {
    const now = this.sample() ?? { cpuSeconds: 0, rssMb: 0, pssMb: 0, anonMb: 0 };
    return { ...now, cpuSeconds: this.spentCpuSeconds + now.cpuSeconds };
  }

  /** Resolves when it is ready for the first time. @throws ChildDidNotStart */
  async start(): Promise<ReadyLine> {
    this.wanted = true;
    this.launch();
    const before = this.process;
    await this.until(() => this.state === 'ready' || this.process !== before, READY_TIMEOUT_MS).catch(() => undefined);
    if (this.state === 'ready' && this.ready) return this.ready;
    this.wanted = false;
    await this.lastWords(before);
    const why = this.state === 'starting' ? `it was not ready within ${READY_TIMEOUT_MS} ms` : 'it ended at once';
    throw new ChildDidNotStart(this.name, `${why}${lastLines(this.program.logFile)}`, this.program.logFile);
  }

  /** What it wrote is read after it has ended, and must be in the log before that is quoted. */
  private async lastWords(child: ChildProcess | undefined): Promise<void> {
    if (child === undefined || this.process === child) return;
    const isRead = child.stderr?.readableEnded !== false;
    // Its pipe stays open as long as a child of its own holds it.
    if (!isRead) await Promise.race([new Promise((resolve) => child.stderr?.once('close', resolve)), sleep(LAST_WORDS_MS)]);
    await new Promise((resolve) => this.log.write('', resolve));
  }

  /**
   * Sends a signal to the process that matters. @returns its pid, 0 when it is down.
   * `restart: false` leaves it down until `revive`.
   */
  kill(signal: NodeJS.Signals, options: { readonly restart: boolean } = { restart: true }): number {
    const { pid } = this.identity;
    if (pid === 0 || this.state === 'down') return 0;
    this.expectedDeath = true;
    this.wanted = options.restart;
    this.sample();
    process.kill(pid, signal);
    return pid;
  }

  revive(): void {
    this.wanted = true;
    if (this.state === 'down' && this.process === undefined) this.launch();
  }

  /** Resolves when an incarnation other than `pid` is ready. @throws ChildNotReady */
  async replaced(pid: number, timeoutMs = READY_TIMEOUT_MS): Promise<ChildInfo> {
    await this.until(() => this.state === 'ready' && this.identity.pid !== pid, timeoutMs);
    return this.info();
  }

  async down(timeoutMs = STOP_TIMEOUT_MS): Promise<void> {
    await this.until(() => this.state === 'down', timeoutMs);
  }

  /** Ends it, politely first. */
  async stop(timeoutMs = STOP_TIMEOUT_MS): Promise<void> {
    this.wanted = false;
    const child = this.process;
    if (child) {
      this.sample();
      signalQuietly(this.identity.pid, 'SIGTERM');
      await this.until(() => this.process !== child, timeoutMs).catch(() => undefined);
      if (this.process === child) this.killNow();
      await this.until(() => this.process !== child, STOP_TIMEOUT_MS).catch(() => undefined);
    }
    await new Promise<void>((resolve) => this.log.end(resolve));
  }

  /** Without manners: the second Ctrl-C. */
  killNow(): void {
    this.wanted = false;
    if (this.identity.pid !== 0) signalQuietly(this.identity.pid, 'SIGKILL');
    this.process?.kill('SIGKILL');
  }

  private launch(): void {
    const { command, args, env } = this.program;
    this.restarts += 1;
    this.state = 'starting';
    this.ready = undefined;
    const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    this.process = child;
    this.identity = child.pid === undefined ? NOTHING : identityOf(child.pid);
    child.stdin?.on('error', () => undefined);
    child.stderr?.on('data', (chunk: Buffer) => this.log.write(chunk));
    this.readOutput(child);
    child.once('error', (error) => {
      this.log.write(`${error.message}\n`);
      if (child.pid === undefined) this.ended(child, error.message);
    });
    child.once('exit', (code, signal) => this.ended(child, signal ?? `exit code ${code}`));
  }

  private readOutput(child: ChildProcess): void {
    let line = '';
    let watching = true;
    child.stdout?.on('data', (chunk: Buffer) => {
      this.log.write(chunk);
      if (!watching) return;
      line += chunk.toString('utf8');
      const lines = line.split('\n');
      line = lines.pop() ?? '';
      for (const each of lines) {
        const ready = readyLineOf(each);
        if (!ready) continue;
        watching = false;
        line = '';
        void this.becomeReady(child, ready);
        return;
      }
    });
  }

  private async becomeReady(child: ChildProcess, ready: ReadyLine): Promise<void> {
    if (this.process !== child) return;
    if (ready.pid !== undefined) this.identity = identityOf(ready.pid);
    const { probe } = this.program;
    while (probe && this.process === child && !(await probe().catch(() => false))) await sleep(10);
    if (this.process !== child) return;
    this.ready = ready;
    this.state = 'ready';
    this.readyAtMs = performance.now();
    this.onEvent({ type: 'started', name: this.name, pid: this.identity.pid, restarts: this.restarts });
    this.notify();
  }

  private ended(child: ChildProcess, by: string): void {
    if (this.process !== child) return;
    child.stdin?.destroy();
    const { pid } = this.identity;
    this.spentCpuSeconds += this.lastSample?.cpuSeconds ?? 0;
    this.lastSample = undefined;
    const steady = this.state === 'ready' && performance.now() - this.readyAtMs >= STEADY_MS;
    this.quickDeaths = steady || this.expectedDeath ? 0 : this.quickDeaths + 1;
    this.expectedDeath = false;
    this.process = undefined;
    this.state = 'down';
    this.identity = NOTHING;
    this.onEvent({ type: 'died', name: this.name, pid, by, again: this.wanted });
    this.notify();
    if (this.wanted) void this.launchLater();
  }

  private async launchLater(): Promise<void> {
    if (this.quickDeaths > 0) await sleep(Math.min(BACK_OFF_MAX_MS, BACK_OFF_FIRST_MS * 2 ** (this.quickDeaths - 1)));
    if (this.wanted && this.process === undefined) this.launch();
  }

  /** The last one counts for a process that has died since. */
  private sample(): ProcessUsage | undefined {
    if (this.identity.pid !== 0) this.lastSample = usageOf(this.identity.pid) ?? this.lastSample;
    return this.lastSample;
  }

  private notify(): void {
    for (const listener of [...this.listeners]) listener();
  }

  private until(condition: () => boolean, timeoutMs: number): Promise<void> {
    if (condition()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const finish = (done: () => void): void => {
        clearTimeout(timer);
        this.listeners.delete(check);
        done();
      };
      const check = (): void => {
        if (condition()) finish(resolve);
      };
      const timer = setTimeout(() => finish(() => reject(new ChildNotReady(this.name, timeoutMs))), timeoutMs);
      this.listeners.add(check);
    });
  }
}

function readyLineOf(line: string): ReadyLine | undefined {
  if (!line.startsWith('{') || !line.includes('"ready"')) return undefined;
  try {
    const parsed = JSON.parse(line) as Record<string, unknown>;
    return parsed.ready === true ? (parsed as ReadyLine) : undefined;
  } catch {
    return undefined;
  }
}

function signalQuietly(pid: number, signal: NodeJS.Signals): void {
  if (pid === 0) return;
  try {
    process.kill(pid, signal);
  } catch {
    // It is gone already, which is what was wanted.
  }
}

function rotate(logFile: string): void {
  if (existsSync(logFile) && statSync(logFile).size > LOG_BYTES_MAX) renameSync(logFile, `${logFile}.1`);
}

/** What it said last; of a crash the line that names it rather than its stack. */
function lastLines(logFile: string): string {
  try {
    const lines = readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-SAID_LINES);
    const named = lines.findLastIndex((line) => NAMED_ERROR.test(line));
    const telling = named < 0 ? lines.slice(-2) : lines.slice(named, named + 1 + EXPLAINING_LINES);
    const said = telling
      .filter((line) => line.trim() !== '' && !/^\s+at /.test(line))
      .join('\n')
      .slice(0, SAID_CHARACTERS);
    return said === '' ? '' : ` (it said: ${said})`;
  } catch {
    return '';
  }
}
