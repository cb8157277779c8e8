import { Admission } from '@perdure/admission-application';
import { LogFollower } from '@perdure/keeper-application';
import { MemoryDueIndex } from '@perdure/platform-due-index-memory';
import { ed25519 } from '@perdure/platform-host-node';
import { PartitionOwnership } from '@perdure/platform-ownership';
import { calendarTimes } from '@perdure/platform-schedule-times';
import { RunOwner } from '@perdure/run-application';
import type { Token } from '@perdure/kernel';
import { ScheduleOwner } from '@perdure/schedule-application';
import { ApprovalBook, ApprovalChanges, StoredBuildCatalogue, TenantDesk } from '@perdure/tenant-application';
import { TimerKeeper } from '@perdure/timer-application';
import type { Premises } from './premises';

const LEASES = 'leases';
const MAPS = 'map';

/** The services of the product, with the adapters that need no other process. */
export class Services {
  private readonly owner: RunOwner;
  private readonly timers: TimerKeeper;
  private readonly schedules: ScheduleOwner;
  private readonly starts: () => Promise<void>;
  private readonly stops: () => Promise<void>;

  constructor(premises: Premises) {
    const { host, connection, store } = premises.place('services');
    const { bus, facts } = connection;
    const { blobs, signer } = premises;
    const [leases, maps] = [connection.keyValue(LEASES), connection.keyValue(MAPS)];
    const ownershipOf = (service: string): PartitionOwnership =>
      new PartitionOwnership({ leases, maps, host, service, instanceId: service });
    const [ownedRuns, ownedTimes] = [ownershipOf('orchestrator'), ownershipOf('timers')];
    const builds = new StoredBuildCatalogue({ store, host });
    const approvals = new ApprovalBook({ store, host, signatures: ed25519, signerKey: signer.publicKey });
    const changes = new ApprovalChanges({ store, host, book: approvals });
    const desk = new TenantDesk({ bus, ownership: ownedRuns, builds, approvals: changes });
    const admission = new Admission({ bus, leases, store, host, instanceId: 'admission' });
    this.owner = new RunOwner({
      ...{ host, store, bus, facts, blobs, ownership: ownedRuns, builds, approvals, signatures: ed25519 },
      validator: { issues: () => [] },
      signerKey: signer.publicKey,
    });
    this.timers = new TimerKeeper({ bus, host, ownership: ownedTimes, index: new MemoryDueIndex() });
    this.schedules = new ScheduleOwner({ store, bus, host, ownership: ownedTimes, times: calendarTimes });
    const follower = new LogFollower({ store, blobs, host });
    for (const keeper of [...this.owner.keepers, admission.keeper, this.timers, this.schedules.index]) follower.register(keeper);
    this.starts = async () => {
      await follower.start();
      await this.owner.start();
      desk.start();
      admission.start();
      this.timers.start();
      this.schedules.start();
      await Promise.all([ownedRuns.start(), ownedTimes.start()]);
    };
    this.stops = () => {
      host.kill();
      return connection.close();
    };
  }

  start(): Promise<void> {
    return this.starts();
  }

  stop(): Promise<void> {
    return this.stops();
  }

  /** When a schedule has something to do, by the wall clock. */
  get nextScheduledMs(): number | undefined {
    return this.schedules.nextLookAtMs;
  }

  /** The wall clock was set. */
  clockWasSet(): void {
    this.timers.clockWasSet();
    this.schedules.clockWasSet();
  }

  /** The broker has seen its connection end. */
  workerIsGone(session: { readonly workerId: Token; readonly sessionId: Token }): void {
    this.owner.workers.connectionClosed(session);
  }
}
