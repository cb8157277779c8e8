import type { ApprovalLine, ApprovalStatus } from '@perdure/approval-contract';
import type { Json, Keeper, RecordedEvent } from '@perdure/kernel';
import { runStream, TERMINAL_EVENT_TYPES, type RunEventOf } from '@perdure/run-contract';

export interface InboxQuery {
  readonly tenant: string;
  readonly status?: ApprovalStatus | undefined;
  readonly role?: string | undefined;
  readonly limit: number;
}

/** Of those that are decided the newest are listed; older ones are facts of their runs. */
const CLOSED_KEPT = 1_000;

const TYPES = [
  'ApprovalRequested',
  'ApprovalVoted',
  'ApprovalGranted',
  'ApprovalDenied',
  'ApprovalExpired',
  'ApprovalEscalated',
  'ApprovalRefused',
] as const;
/** What waits for an approval then waits no more: of a run that goes on, it is asked for anew. */
const CLOSING: readonly string[] = [...TERMINAL_EVENT_TYPES, 'RunRewound', 'RunContinued'];

type ApprovalFact = RunEventOf<(typeof TYPES)[number]>;

/**
 * Which effects wait for whom: a projection in memory over the facts of approvals.
 * 1. A fact not newer than what the line shows changes nothing.
 * 2. Every open approval is held; of the others the newest {@link CLOSED_KEPT}.
 */
export class ApprovalInbox implements Keeper {
  readonly name = 'approval-inbox';
  readonly eventTypes: readonly string[] = [...TYPES, ...CLOSING];
  /** By run, then by call. */
  private readonly open = new Map<string, Map<string, ApprovalLine>>();
  private readonly closed = new Map<string, ApprovalLine>();
  private complete = false;

  constructor(private readonly closedKept = CLOSED_KEPT) {}

  get isComplete(): boolean {
    return this.complete;
  }

  caughtUp(): void {
    this.complete = true;
  }

  restore(index: Json | undefined): void {
    this.open.clear();
    this.closed.clear();
    for (const line of (index ?? []) as unknown as readonly ApprovalLine[]) this.put(line);
  }

  snapshot(): Json {
    return [...this.closed.values(), ...this.all()] as unknown as Json;
  }

  apply(fact: RecordedEvent): void {
    const address = runStream.parse(fact.stream);
    if (CLOSING.includes(fact.type)) {
      for (const line of [...(this.open.get(runOf(address))?.values() ?? [])].filter(({ revision }) => revision < fact.revision))
        this.put({ ...line, status: 'ended', revision: fact.revision });
      return;
    }
    const event = { type: fact.type, data: fact.data } as ApprovalFact;
    const known = this.find({ ...address, call: event.data.call });
    if (event.type === 'ApprovalRequested') {
      if (known === undefined || fact.revision > known.revision) this.put(requested(address, event, fact.revision));
      return;
    }
    if (known !== undefined && fact.revision > known.revision)
      this.put({ ...known, ...changed(known, event), revision: fact.revision });
  }

  find({ tenant, runId, call }: Pick<ApprovalLine, 'tenant' | 'runId' | 'call'>): ApprovalLine | undefined {
    const run = runOf({ tenant, runId });
    return this.open.get(run)?.get(call) ?? this.closed.get(`${run} ${call}`);
  }

  /** Oldest first: who waits for longest stands on top. */
  list({ tenant, status, role, limit }: InboxQuery): readonly ApprovalLine[] {
    return [...this.all(), ...this.closed.values()]
      .filter((line) => line.tenant === tenant && (status === undefined || line.status === status))
      .filter((line) => role === undefined || line.roles.includes(role))
      .sort((left, right) => left.requestedAtMs - right.requestedAtMs)
      .slice(0, limit);
  }

  private *all(): Iterable<ApprovalLine> {
    for (const calls of this.open.values()) yield* calls.values();
  }

  private put(line: ApprovalLine): void {
    const run = runOf(line);
    const calls = this.open.get(run) ?? new Map<string, ApprovalLine>();
    if (line.status === 'open') {
      this.open.set(run, calls.set(line.call, line));
      return;
    }
    calls.delete(line.call);
    if (calls.size === 0) this.open.delete(run);
    this.closed.set(`${run} ${line.call}`, line);
    const [oldest] = this.closed.size > this.closedKept ? this.closed.keys() : [];
    if (oldest !== undefined) this.closed.delete(oldest);
  }
}

function requested(
  { tenant, runId }: { readonly tenant: string; readonly runId: string },
  { data }: RunEventOf<'ApprovalRequested'>,
  revision: number,
): ApprovalLine {
  const { escalations: _, ...asked } = data;
  return { tenant, runId, ...asked, status: 'open', agreed: [], refusals: 0, requestRevision: revision, revision };
}

function changed(line: ApprovalLine, event: Exclude<ApprovalFact, { type: 'ApprovalRequested' }>): Partial<ApprovalLine> {
  switch (event.type) {
    case 'ApprovalVoted':
      return { agreed: [...line.agreed, event.data.vote.statement.approver] };
    case 'ApprovalGranted':
      return { status: 'granted' };
    case 'ApprovalDenied':
      return { status: 'denied' };
    case 'ApprovalExpired':
      return { status: 'expired' };
    case 'ApprovalEscalated':
      return { roles: [...new Set([...line.roles, event.data.role])] };
    case 'ApprovalRefused':
      return { refusals: line.refusals + 1 };
  }
}

function runOf({ tenant, runId }: { readonly tenant: string; readonly runId: string }): string {
  return `${tenant}.${runId}`;
}
