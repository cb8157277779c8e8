import { errorRecordOf, PerdureError, Terminal, type Bus, type BusMessage, type Subscription } from '@perdure/kernel';
import { tenantEnvelope, tenantPartitionSubject, type TenantCommand } from '@perdure/tenant-contract';
import type { ApprovalChanges } from './approval-changes';
import type { StoredBuildCatalogue } from './build-catalogue';

/** Which virtual partitions this instance owns. */
export interface TenantOwnership {
  onChange(listener: (gained: readonly number[], lost: readonly number[]) => void): Subscription;
}

/** A manifest names every agent and tool of a build: generous, and bounded. */
const REQUEST_BYTES_MAX = 4_000_000;
const ISSUES_SHOWN = 5;

/** Answers requests that concern a tenant, for the partitions that this instance owns. */
export class TenantDesk {
  private readonly listening = new Map<number, Subscription>();
  private changes: Subscription | undefined;

  constructor(
    private readonly ports: {
      readonly bus: Bus;
      readonly ownership: TenantOwnership;
      readonly builds: StoredBuildCatalogue;
      readonly approvals: ApprovalChanges;
    },
  ) {}

  start(): void {
    this.changes = this.ports.ownership.onChange((gained, lost) => {
      lost.forEach((partition) => this.ignore(partition));
      gained.forEach((partition) => this.listen(partition));
    });
  }

  async stop(): Promise<void> {
    await this.changes?.close();
    for (const partition of [...this.listening.keys()]) this.ignore(partition);
  }

  private listen(partition: number): void {
    if (this.listening.has(partition)) return;
    this.listening.set(
      partition,
      this.ports.bus.subscribe(tenantPartitionSubject.build(partition), (message) => void this.onRequest(message)),
    );
  }

  private ignore(partition: number): void {
    void this.listening.get(partition)?.close();
    this.listening.delete(partition);
  }

  private async onRequest(message: BusMessage): Promise<void> {
    try {
      const value = await this.perform(tenantPartitionSubject.parse(message.subject), parse(message.payload));
      message.respond(JSON.stringify({ ok: true, value }));
    } catch (error) {
      message.respond(JSON.stringify({ ok: false, error: errorRecordOf(error) }));
    }
  }

  private perform(tenant: string, command: TenantCommand): Promise<unknown> {
    switch (command.type) {
      case 'RegisterBuild':
        return this.ports.builds.register(tenant, command.manifest);
      case 'ListBuilds':
        return this.ports.builds.behaviours(tenant);
      case 'ChangeApprovals':
        return this.ports.approvals.append(tenant, command.signed);
    }
  }
}

/** @throws Terminal `PayloadTooLarge`, `MalformedRequest` */
function parse(text: string): TenantCommand {
  if (text.length > REQUEST_BYTES_MAX) {
    throw new Terminal(
      'PayloadTooLarge',
      `The request has ${text.length} bytes; the limit is ${REQUEST_BYTES_MAX}. Split the build.`,
    );
  }
  try {
    const parsed = tenantEnvelope.safeParse(JSON.parse(text));
    if (parsed.success) return parsed.data.command;
    const issues = parsed.error.issues.slice(0, ISSUES_SHOWN).map((issue) => `${issue.path.join('.')}: ${issue.message}`);
    throw new Terminal('MalformedRequest', `The request does not have its shape: ${issues.join('; ')}`);
  } catch (error) {
    if (error instanceof PerdureError) throw error;
    throw new Terminal('MalformedRequest', 'The request is not JSON.', { cause: error });
  }
}
