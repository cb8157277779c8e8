import { Admission } from '@perdure/admission-application';
import { token, type BlobStore, type Bus, type EventStore, type FactBus, type KeyValue } from '@perdure/kernel';
import { LogFollower } from '@perdure/keeper-application';
import { PartitionOwnership } from '@perdure/platform-ownership';
import { calendarTimes } from '@perdure/platform-schedule-times';
import { RunOwner } from '@perdure/run-application';
import { workerConnectionName } from '@perdure/run-contract';
import { ScheduleOwner } from '@perdure/schedule-application';
import { HeartbeatLoop, manifestOf, offerOf, WorkerEngine, type Tool } from '@perdure/sdk';
import { ed25519 } from '@perdure/platform-host-node';
import { ApprovalBook, ApprovalChanges, StoredBuildCatalogue, TenantDesk } from '@perdure/tenant-application';
import {
  type SimBucket,
  type SimDisks,
  SimFactBus,
  simBlobs,
  type SimBroker,
  type SimLink,
  type SimProcess,
  type SimStoreServer,
} from '@perdure/testing';
import { TimerKeeper } from '@perdure/timer-application';
import { behavioursFor, pooledTools, TOOL_POOL } from './behaviours';
import { buildOf } from './builds';
import { SIGNER } from './signer';
import type { OuterWorld } from './outer-world';

/** What all processes of one story share: the machines that do not die with them. */
export interface Premises {
  readonly broker: SimBroker;
  readonly store: SimStoreServer;
  readonly blobs: BlobStore;
  readonly disks: SimDisks;
  readonly leases: SimBucket;
  readonly maps: SimBucket;
  readonly world: OuterWorld;
  /** Whether each worker has a build of its own. */
  readonly severalBuilds: boolean;
  /** Whether somebody has schedules. */
  readonly schedules: boolean;
}

/** What one process is given. A mutant of the system is made by giving something else. */
export interface Ports {
  readonly process: SimProcess;
  readonly link: SimLink;
  readonly bus: Bus;
  readonly facts: FactBus;
  readonly store: EventStore;
  readonly blobs: BlobStore;
  readonly leases: KeyValue;
  readonly maps: KeyValue;
}

export const TENANT = 'acme';
export const POOL = 'default';
export const SLOTS = 3;
const WARM_RUNS_MAX = 4;

export function portsOf(premises: Premises, process: SimProcess): Ports {
  const { broker, store, blobs, leases, maps } = premises;
  const link = broker.connect(process);
  return {
    process,
    link,
    bus: broker.bus(link),
    facts: new SimFactBus(broker, link),
    store: store.client(process),
    blobs: simBlobs(blobs, process),
    leases: leases.for(link),
    maps: maps.for(link),
  };
}

/** A running role, as far as the story and its checkers look into it. */
export interface Role {
  readonly process: SimProcess;
  readonly owner?: RunOwner;
  readonly admission?: Admission;
  readonly timers?: TimerKeeper;
  readonly schedules?: ScheduleOwner;
  readonly follower?: LogFollower;
  readonly engine?: WorkerEngine;
}

/** How a process of each role begins. What `start` throws ends the process, as it would in production. */
export interface Beginning {
  readonly role: Role;
  start(): Promise<void>;
}

export function orchestrator(premises: Premises, ports: Ports): Beginning {
  const { process: host, bus, facts, store, blobs, leases, maps } = ports;
  const ownership = new PartitionOwnership({ leases, maps, host, service: 'orchestrator', instanceId: host.role });
  const builds = new StoredBuildCatalogue({ store, host });
  const signerKey = SIGNER.publicKey;
  const approvals = new ApprovalBook({ store, host, signatures: ed25519, signerKey });
  const validator = { issues: () => [] };
  const owner = new RunOwner({
    store,
    bus,
    facts,
    blobs,
    host,
    ownership,
    builds,
    validator,
    approvals,
    signatures: ed25519,
    signerKey,
  });
  const desk = new TenantDesk({ bus, ownership, builds, approvals: new ApprovalChanges({ store, host, book: approvals }) });
  const follower = new LogFollower({ store, blobs, host });
  for (const keeper of owner.keepers) follower.register(keeper);
  const closed = (connectionName: string): void => {
    const session = workerConnectionName.parse(connectionName);
    if (session !== undefined)
      host.schedule(0, `hears that ${connectionName} closed`, () => owner.workers.connectionClosed(session));
  };
  premises.broker.disconnections.add(closed);
  host.onEnd(() => premises.broker.disconnections.delete(closed));
  const start = async (): Promise<void> => {
    endWith(host, follower);
    await owner.start();
    desk.start();
    await follower.start();
    await ownership.start();
  };
  return { role: { process: host, owner, follower }, start };
}

export function admission(_premises: Premises, ports: Ports): Beginning {
  const { process: host, bus, store, blobs, leases } = ports;
  const service = new Admission({ bus, leases, store, host, instanceId: host.name });
  const follower = new LogFollower({ store, blobs, host });
  follower.register(service.keeper);
  const start = async (): Promise<void> => {
    endWith(host, follower);
    await follower.start();
    service.start();
  };
  return { role: { process: host, admission: service, follower }, start };
}

export function timers(premises: Premises, ports: Ports): Beginning {
  const { process: host, bus, store, blobs, leases, maps } = ports;
  const ownership = new PartitionOwnership({ leases, maps, host, service: 'timers', instanceId: host.role });
  const keeper = new TimerKeeper({ bus, host, ownership, index: premises.disks.dueIndex(host) });
  const follower = new LogFollower({ store, blobs, host });
  follower.register(keeper);
  // One of them forgets whatever it may, and reads it again.
  const memory = host.role === 'timers-1' ? { heldBytesMax: 0 } : {};
  const schedulePorts = { store, bus, host, ownership, times: calendarTimes, ...memory };
  const schedules = premises.schedules ? new ScheduleOwner(schedulePorts) : undefined;
  if (schedules !== undefined) follower.register(schedules.index);
  const start = async (): Promise<void> => {
    endWith(host, follower);
    await follower.start();
    keeper.start();
    schedules?.start();
    await ownership.start();
  };
  return { role: { process: host, timers: keeper, follower, ...(schedules === undefined ? {} : { schedules }) }, start };
}

export function worker(premises: Premises, ports: Ports): Beginning {
  const { process: host } = ports;
  let engine: WorkerEngine | undefined = undefined;
  const epochOf = (runId: string): number | undefined => (engine as WorkerEngine | undefined)?.['active'].get(runId)?.epoch;
  const offer = offerOf({ ...behavioursFor({ process: host, world: premises.world, epochOf }), pool: POOL });
  const beginning = working(premises, ports, { offer, build: buildOf(host.role, premises.severalBuilds) });
  engine = beginning.role.engine;
  return beginning;
}

/** Hosts tools only, which it executes for those who hold the runs. */
export function teller(premises: Premises, ports: Ports): Beginning {
  const place = { process: ports.process, world: premises.world, epochOf: () => undefined };
  const tools = Object.values(pooledTools(place)) as unknown as readonly Tool[];
  const offer = offerOf({ behaviours: [], tools, pool: TOOL_POOL });
  return working(premises, ports, { offer, build: { build: `build-of-${TOOL_POOL}` } });
}

interface Hosted {
  readonly offer: ReturnType<typeof offerOf>;
  readonly build: Parameters<typeof manifestOf>[2];
}

function working({ broker }: Premises, { process: host, bus }: Ports, { offer, build }: Hosted): Beginning {
  const workerId = host.role;
  const sessionId = host.incarnation;
  const { pool } = offer;
  const manifest = manifestOf(offer, host.digest, build);
  let heartbeat: HeartbeatLoop | undefined = undefined;
  const engine = new WorkerEngine({
    host,
    bus,
    tenant: TENANT,
    workerId,
    sessionId,
    manifest,
    ...offer,
    slots: SLOTS,
    toolSlots: SLOTS,
    warmRunsMax: WARM_RUNS_MAX,
    signer: { signatures: ed25519, publicKey: SIGNER.publicKey },
    onChange: () => (heartbeat as HeartbeatLoop | undefined)?.beatNow(),
  });
  const start = async (): Promise<void> => {
    await engine.start();
    const name = workerConnectionName.build(token(workerId, 'worker id'), token(sessionId, 'session id'));
    const hosts = offer.behaviours.map((behaviour) => behaviour.name);
    heartbeat = new HeartbeatLoop({
      host,
      bus: broker.bus(broker.connect(host, name)),
      identity: {
        ...{ tenant: TENANT, pool, workerId, sessionId },
        buildId: manifest.buildId,
        compatibleWith: manifest.compatibleWith,
        hosts,
      },
      status: () => engine.status(),
      loopLagMs: () => 0,
    });
    heartbeat.start();
  };
  return { role: { process: host, engine }, start };
}

/** A keeper whose index cannot be trusted ends its process. */
function endWith(host: SimProcess, follower: LogFollower): void {
  follower.done.catch((error: unknown) => {
    host.simulation.violate('keeper', `a keeper of ${host.name} failed: ${String(error)}`);
    host.kill('since a keeper failed');
  });
}
