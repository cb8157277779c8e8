import type { BlobStore, EventStore, FactBus, Bus, Host, KeyRing, Signatures, Subscription } from '@perdure/kernel';
import type { BehaviourManifest, BuildManifest, TenantApprovals, ToolManifest } from '@perdure/tenant-contract';

/** Which virtual partitions this instance owns; expected revisions make an overlap harmless. */
export interface Ownership {
  owns(partition: number): boolean;
  onChange(listener: (gained: readonly number[], lost: readonly number[]) => void): Subscription;
}

/** Whether the clock of this node may be believed. */
export interface NodeClock {
  readonly isSettled: boolean;
  /** Asks, when it is not. */
  settled(): Promise<boolean>;
}

/** What the workers of a tenant have registered. */
export interface BuildCatalogue {
  build(tenant: string, buildId: string): Promise<BuildManifest | undefined>;
  /** The manifest in the newest build that hosts the name. */
  behaviour(tenant: string, name: string): Promise<BehaviourManifest | undefined>;
  /** The tool in the newest build that executes it for the pool. */
  tool(tenant: string, pool: string, name: string): Promise<ToolManifest | undefined>;
  behaviours(tenant: string): Promise<readonly BehaviourManifest[]>;
}

/** Checks a run's input against the JSON Schema that its author's build registered. */
export interface InputValidator {
  /** What is wrong, one line an issue; empty = valid. */
  issues(schema: Readonly<Record<string, unknown>>, input: unknown, what?: string): readonly string[];
}

/** Which effects need an approval, by tenant. */
export interface Approvals {
  /** What is in force, if it is known and young enough. */
  recent(tenant: string): TenantApprovals | undefined;
  of(tenant: string): Promise<TenantApprovals>;
}

/** What the owner of runs is built on. */
export interface OwnerPorts {
  readonly store: EventStore;
  readonly bus: Bus;
  readonly facts: FactBus;
  readonly blobs: BlobStore;
  /** Absent = it always is. */
  readonly nodeClock?: NodeClock;
  /** Absent = payloads are not sealed. */
  readonly keys?: KeyRing;
  readonly host: Host;
  readonly ownership: Ownership;
  readonly builds: BuildCatalogue;
  readonly validator: InputValidator;
  readonly approvals: Approvals;
  readonly signatures: Signatures;
  /** Public key of the signer: what it has not signed is no approval. Without one, nothing can be approved. */
  readonly signerKey: string | undefined;
}
