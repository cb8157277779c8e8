// A whole installation on one machine: broker, store, services and workers, each a supervised process.
//
// 1. Everything listens on loopback, on ports that were free when the stack started and stay its own.
// 2. Everything that must survive lies under the data directory; ports and passwords are new each time.
// 3. Nothing is left running: `stop` ends all by pid, and the end of this process ends all by lifeline.
import { randomBytes } from 'node:crypto';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { loadOrCreateKey } from '@perdure/platform-blob-fs';
import { natsServerConfig, newBrokerUsers, type BrokerUser, type BrokerUsers } from '@perdure/platform-bus-jetstream';
import { signingKeyOf } from '@perdure/platform-host-node';
import { SupervisedChild, type ChildEvent, type ChildInfo, type Program } from './child';
import { lockDataDir, prepareDataDir, writeStackState } from './data-dir';
import { natsCommand, natsHealthy, requireNatsServer } from './nats';
import { freePort } from './ports';
import { identityOf, type ProcessUsage } from './proc';
import {
  DEV_PROGRAM,
  ROOT,
  serviceProgram,
  SERVICES,
  type ServiceName,
  SIGNER_PROGRAM,
  STORE_PROGRAM,
  WORKER_PROGRAM,
} from './programs';
import { EntryMissing } from './stack.errors';

export interface StackOptions {
  /** `dev`: all services in one process. `isolated`: a process each. */
  readonly form: 'dev' | 'isolated';
  readonly dataDir: string;
  /** The file that the workers load. */
  readonly entry: string;
  readonly workers: number;
  /** Runs that a worker has under way at once; the SDK's default when not given. */
  readonly slots?: number;
  readonly gatewayPort?: number;
  /** Path of the broker's binary; PERDURE_NATS_SERVER by default. */
  readonly natsServer?: string;
  /** For workers only, beside what they inherit. */
  readonly workerEnv?: Readonly<Record<string, string>>;
  /** For services only. */
  readonly serviceEnv?: Readonly<Record<string, string>>;
  /** For one service of an isolated stack, beside what all of them are given. */
  readonly envOf?: Readonly<Partial<Record<ServiceName, Readonly<Record<string, string>>>>>;
  readonly onEvent?: (event: StackEvent) => void;
}

export type StackEvent = ChildEvent | { readonly type: 'jetstream-off'; readonly name: 'nats' };

export interface ChildUsage extends ProcessUsage {
  readonly name: string;
  readonly pid: number;
}

export interface Stack {
  readonly form: 'dev' | 'isolated';
  readonly gatewayUrl: string;
  readonly natsUrl: string;
  readonly storeUrl: string;
  readonly brokerUsers: BrokerUsers;
  /** For programs that use the SDK: address and login of a client in one. */
  readonly clientUrl: string;
  readonly dataDir: string;
  readonly logDir: string;
  children(): readonly ChildInfo[];
  /** `nats`, `store`, `services` (or `orchestrator`, `admission`, `timers`, `gateway`), `worker-1` … */
  child(name: string): SupervisedChild;
  /** Sends a signal (SIGKILL) to a child by name. @returns its pid, 0 when it was down */
  kill(name: string, options?: { readonly signal?: NodeJS.Signals; readonly restart?: boolean }): number;
  /** By process: CPU seconds since the start of the stack, memory now. */
  usage(): readonly ChildUsage[];
  /** Kills the broker, deletes all that it holds, and lets it start again. */
  wipeBus(): Promise<void>;
  /** Another worker, with another entry if one is given; of one pool only if one is named. @returns its name */
  addWorker(entry?: string, pool?: string): Promise<string>;
  stop(): Promise<void>;
  /** Ends everything without waiting. */
  stopNow(): void;
}

const HEALTH_EVERY_MS = 2_000;
/** A broker that is busy may miss a beat; one that misses several has switched its JetStream off. */
const UNHEALTHY_BEATS_MAX = 3;
const SECRET_BYTES = 16;
/** From Node 22 on, a second start need not compile again. */
const NODE_COMPILE_CACHE = join(ROOT, 'node_modules/.cache/perdure/compile');

/** @throws DataDirUnusable, DataDirInUse, NatsServerMissing, NatsServerTooOld, EntryMissing, ChildDidNotStart */
export async function startStack(options: StackOptions): Promise<Stack> {
  const natsServer = options.natsServer ?? process.env.PERDURE_NATS_SERVER ?? '';
  if (!existsSync(options.entry)) throw new EntryMissing(options.entry);
  const dataDir = resolve(options.dataDir);
  prepareDataDir(dataDir);
  const unlock = await lockDataDir(dataDir);
  try {
    await requireNatsServer(natsServer);
    const stack = new RunningStack({ ...options, dataDir, natsServer }, await newPlan(dataDir, options.gatewayPort), unlock);
    await stack.start();
    return stack;
  } catch (thrown) {
    unlock();
    throw thrown;
  }
}

interface Plan {
  readonly natsPort: number;
  readonly monitorPort: number;
  readonly storePort: number;
  readonly gatewayPort: number;
  readonly users: BrokerUsers;
  readonly signerKey: string;
}

/** The signer's alone: no other process is told of it. */
export function signerDirOf(dataDir: string): string {
  return join(resolve(dataDir), 'signer');
}

async function newPlan(dataDir: string, gatewayPort: number | undefined): Promise<Plan> {
  const [natsPort, monitorPort, storePort, freeGatewayPort] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
  const users = newBrokerUsers(() => randomBytes(SECRET_BYTES).toString('hex'));
  // Made here, so that everybody can be told the public half from the start.
  const { publicKey: signerKey } = signingKeyOf(await loadOrCreateKey(join(signerDirOf(dataDir), 'signer.key')));
  return { natsPort, monitorPort, storePort, gatewayPort: gatewayPort ?? freeGatewayPort, users, signerKey };
}

class RunningStack implements Stack {
  readonly form: 'dev' | 'isolated';
  readonly gatewayUrl: string;
  readonly natsUrl: string;
  readonly storeUrl: string;
  readonly brokerUsers: BrokerUsers;
  readonly clientUrl: string;
  readonly dataDir: string;
  readonly logDir: string;
  private readonly supervised = new Map<string, SupervisedChild>();
  private workers = 0;
  private watchdog: NodeJS.Timeout | undefined;
  private unhealthyBeats = 0;
  private started = false;
  private stopping: Promise<void> | undefined;

  constructor(
    private readonly options: StackOptions & { readonly natsServer: string },
    private readonly plan: Plan,
    private readonly unlock: () => void,
  ) {
    this.form = options.form;
    this.dataDir = options.dataDir;
    this.logDir = join(options.dataDir, 'logs');
    this.gatewayUrl = `http://127.0.0.1:${plan.gatewayPort}`;
    this.natsUrl = `nats://127.0.0.1:${plan.natsPort}`;
    this.clientUrl = `nats://${login(plan.users.worker)}@127.0.0.1:${plan.natsPort}`;
    this.storeUrl = `esdb://127.0.0.1:${plan.storePort}?tls=false`;
    this.brokerUsers = plan.users;
  }

  async start(): Promise<void> {
    try {
      await all([this.supervise(this.natsProgram()).start(), this.supervise(this.storeProgram()).start()]);
      const services = this.servicePrograms().map((program) => this.supervise(program).start());
      const signer = this.supervise(this.signerProgram()).start();
      const workers = Array.from({ length: this.options.workers }, () => this.addWorker());
      await all<unknown>([...services, signer, ...workers]);
    } catch (thrown) {
      await this.stop();
      throw thrown;
    }
    this.started = true;
    this.saveState();
    this.watchdog = setInterval(() => void this.watchBroker(), HEALTH_EVERY_MS);
  }

  children(): readonly ChildInfo[] {
    return [...this.supervised.values()].map((child) => child.info());
  }

  child(name: string): SupervisedChild {
    const child = this.supervised.get(name);
    if (!child) throw new TypeError(`There is no process ${name}; there are ${[...this.supervised.keys()].join(', ')}`);
    return child;
  }

  kill(
    name: string,
    { signal = 'SIGKILL', restart = true }: { readonly signal?: NodeJS.Signals; readonly restart?: boolean } = {},
  ): number {
    return this.child(name).kill(signal, { restart });
  }

  usage(): readonly ChildUsage[] {
    return [...this.supervised.values()].map((child) => ({ name: child.name, pid: child.info().pid, ...child.usage() }));
  }

  async wipeBus(): Promise<void> {
    const nats = this.child('nats');
    nats.kill('SIGKILL', { restart: false });
    await nats.down();
    rmSync(join(this.dataDir, 'nats'), { recursive: true, force: true });
    nats.revive();
    await nats.replaced(0);
  }

  async addWorker(entry = this.options.entry, pool?: string): Promise<string> {
    this.workers += 1;
    const name = `worker-${this.workers}`;
    await this.supervise(this.workerProgram(name, entry, pool)).start();
    return name;
  }

  stop(): Promise<void> {
    this.stopping ??= this.stopInOrder();
    return this.stopping;
  }

  stopNow(): void {
    clearInterval(this.watchdog);
    for (const child of this.supervised.values()) child.killNow();
    this.unlock();
  }

  /** Those who use a thing go before it. */
  private async stopInOrder(): Promise<void> {
    clearInterval(this.watchdog);
    const isWorker = (child: SupervisedChild): boolean => child.name.startsWith('worker-');
    const isBase = (child: SupervisedChild): boolean => child.name === 'nats' || child.name === 'store';
    const children = [...this.supervised.values()];
    await Promise.all(children.filter(isWorker).map((child) => child.stop()));
    await Promise.all(children.filter((child) => !isWorker(child) && !isBase(child)).map((child) => child.stop()));
    await Promise.all(children.filter(isBase).map((child) => child.stop()));
    this.unlock();
  }

  private supervise(program: Program): SupervisedChild {
    const child = new SupervisedChild(program, (event) => {
      if (this.started && this.stopping === undefined) this.saveState();
      this.options.onEvent?.(event);
    });
    this.supervised.set(program.name, child);
    return child;
  }

  private natsProgram(): Program {
    const { natsPort: port, monitorPort, users } = this.plan;
    const configFile = join(this.dataDir, 'nats-server.conf');
    const config = natsServerConfig({ port, storeDir: join(this.dataDir, 'nats'), users });
    writeFileSync(configFile, `${config}http: "127.0.0.1:${monitorPort}"\n`, { mode: 0o600 });
    return {
      ...this.named('nats'),
      ...natsCommand(this.options.natsServer, configFile),
      env: {},
      probe: () => natsHealthy(monitorPort),
    };
  }

  private storeProgram(): Program {
    const args = [STORE_PROGRAM, '--data', join(this.dataDir, 'store'), '--port', String(this.plan.storePort), '--lifeline'];
    return { ...this.named('store'), command: process.execPath, args, env: {} };
  }

  private servicePrograms(): readonly Program[] {
    if (this.form === 'dev') return [this.serviceProgram('services', DEV_PROGRAM)];
    return SERVICES.map((service) => this.serviceProgram(service, serviceProgram(service), this.options.envOf?.[service]));
  }

  private serviceProgram(name: string, program: string, ownEnv: Program['env'] = {}): Program {
    const { users, gatewayPort } = this.plan;
    const env = {
      ...this.shared(name),
      PERDURE_NATS_SERVICE: login(users.service),
      PERDURE_NATS_RESPONDER: login(users.responder),
      PERDURE_NATS_SYSTEM: login(users.system),
      PERDURE_STORE_URL: this.storeUrl,
      PERDURE_DATA_DIR: join(this.dataDir, 'services'),
      PERDURE_PORT: String(gatewayPort),
      ...this.options.serviceEnv,
      ...ownEnv,
    };
    return { ...this.named(name), command: process.execPath, args: [program], env };
  }

  /** Reads the blobs of the services; what it holds itself lies where no other process looks. */
  private signerProgram(): Program {
    const { users } = this.plan;
    const env = {
      ...this.shared('signer'),
      PERDURE_NATS_SERVICE: login(users.signer),
      PERDURE_NATS_RESPONDER: login(users.responder),
      PERDURE_STORE_URL: this.storeUrl,
      PERDURE_DATA_DIR: join(this.dataDir, 'services'),
      PERDURE_SIGNER_DIR: signerDirOf(this.dataDir),
      ...(this.options.serviceEnv?.PERDURE_SEAL === undefined ? {} : { PERDURE_SEAL: this.options.serviceEnv.PERDURE_SEAL }),
    };
    return { ...this.named('signer'), command: process.execPath, args: [SIGNER_PROGRAM], env };
  }

  private workerProgram(name: string, entry: string, pool?: string): Program {
    const env = {
      ...this.shared(name),
      PERDURE_NATS_WORKER: login(this.plan.users.worker),
      PERDURE_WORKER_ID: name,
      NODE_PATH: modulePath(),
      ...this.options.workerEnv,
    };
    const { slots } = this.options;
    const args = [
      ...[WORKER_PROGRAM, '--entry', resolve(entry)],
      ...(pool === undefined ? [] : ['--pool', pool]),
      ...(slots === undefined ? [] : ['--slots', String(slots)]),
    ];
    return { ...this.named(name), command: process.execPath, args, env };
  }

  private shared(name: string): Readonly<Record<string, string>> {
    return {
      PERDURE_NATS_URL: this.natsUrl,
      PERDURE_INSTANCE_ID: name,
      PERDURE_LIFELINE: '1',
      PERDURE_SIGNER_KEY: this.plan.signerKey,
      NODE_COMPILE_CACHE,
    };
  }

  private named(name: string): { readonly name: string; readonly logFile: string } {
    return { name, logFile: join(this.logDir, `${name}.log`) };
  }

  private async watchBroker(): Promise<void> {
    const nats = this.child('nats');
    if (nats.info().state !== 'ready' || this.stopping) return;
    this.unhealthyBeats = (await natsHealthy(this.plan.monitorPort)) ? 0 : this.unhealthyBeats + 1;
    if (this.unhealthyBeats < UNHEALTHY_BEATS_MAX || nats.info().state !== 'ready') return;
    this.unhealthyBeats = 0;
    this.options.onEvent?.({ type: 'jetstream-off', name: 'nats' });
    nats.kill('SIGKILL');
  }

  private saveState(): void {
    const { form, gatewayUrl, natsUrl, clientUrl, storeUrl } = this;
    const children = this.children()
      .filter(({ pid }) => pid !== 0)
      .map(({ name, pid, startTicks }) => ({ name, pid, startTicks }));
    writeStackState(this.dataDir, {
      launcher: identityOf(process.pid),
      form,
      gatewayUrl,
      natsUrl,
      clientUrl,
      storeUrl,
      children,
    });
  }
}

/** Lets an entry that lies outside the checkout find the SDK. */
function modulePath(): string {
  return [process.env.NODE_PATH, join(ROOT, 'node_modules')].filter(Boolean).join(delimiter);
}

function login({ user, pass }: BrokerUser): string {
  return `${user}:${pass}`;
}

/** The first failure, but only when the others have come to an end too: nothing goes on behind our back. */
async function all<T>(promises: readonly Promise<T>[]): Promise<void> {
  const settled = await Promise.allSettled(promises);
  const failed = settled.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}
