import { delay, errorRecordOf, Terminal, type Host } from '@perdure/kernel';
import { addressOf, type RunRequests } from './run-requests';
import type { RunDirectory, RunLine, RunListStatus } from './run-directory';

export const BULK_VERBS = ['pause', 'resume', 'cancel', 'terminate', 'signal'] as const;
export type BulkVerb = (typeof BULK_VERBS)[number];

/** Runs of one request: it ends while its caller still waits. More are done by asking again. */
export const BULK_RUNS_MAX = 500;
/** Runs that are asked at once, and the pause after them: 50 a second, so that others are served meanwhile. */
const BULK_AT_ONCE = 10;
const BULK_PAUSE_MS = 200;

export interface BulkRequest {
  readonly tenant: string;
  readonly verb: BulkVerb;
  readonly filter: { readonly status?: RunListStatus; readonly name?: string; readonly olderThanMs?: number };
  readonly reason?: string;
  readonly signal?: { readonly name: string; readonly payload: unknown };
  readonly dryRun: boolean;
  readonly id?: string;
  readonly limit: number;
}

export interface BulkResult {
  readonly runId: string;
  readonly name: string;
  readonly did: 'done' | 'refused' | 'not-tried';
  readonly code?: string;
  readonly message?: string;
}

export interface BulkReport {
  readonly id: string;
  readonly dryRun: boolean;
  readonly complete: boolean;
  readonly matched: number;
  readonly results: BulkResult[];
}

/** One thing told to many runs. A repeat under the same id is, for each run, a repeat of the same command. */
export class BulkActions {
  constructor(
    private readonly runs: RunRequests,
    private readonly directory: RunDirectory,
    private readonly host: Host,
  ) {}

  async act(request: BulkRequest): Promise<BulkReport> {
    const { verb, signal, dryRun, limit } = request;
    if ((verb === 'signal') !== (signal !== undefined))
      throw new Terminal('MalformedRequest', 'The verb signal needs a signal, and no other verb takes one.');
    const matching = this.matching(request);
    const id = request.id ?? this.host.entropy.uuid();
    const report = { id, dryRun, complete: this.directory.isComplete, matched: matching.length };
    const meant = matching.slice(0, limit);
    if (dryRun) return { ...report, results: meant.map(({ runId, name }) => ({ runId, name, did: 'not-tried' })) };
    const results: BulkResult[] = [];
    for (let next = 0; next < meant.length; next += BULK_AT_ONCE) {
      if (next > 0) await delay(this.host, BULK_PAUSE_MS);
      const some = meant.slice(next, next + BULK_AT_ONCE);
      results.push(...(await Promise.all(some.map((line) => this.one(line, { ...request, id })))));
    }
    return { ...report, results };
  }

  /** Oldest first: who has waited for longest is served first when there are too many. */
  private matching({ tenant, filter: { status, name, olderThanMs } }: BulkRequest): readonly RunLine[] {
    const requestedUpToMs = olderThanMs === undefined ? undefined : this.host.clock.nowMs() - olderThanMs;
    return this.directory
      .openRuns(tenant)
      .filter(
        (line) =>
          (status === undefined || line.status === status) &&
          (name === undefined || line.name === name) &&
          (requestedUpToMs === undefined || line.requestedAtMs <= requestedUpToMs),
      );
  }

  private async one({ tenant, runId, name }: RunLine, request: BulkRequest & { readonly id: string }): Promise<BulkResult> {
    const commandId = this.commandIdOf(request.id, runId);
    try {
      await this.tell(addressOf(tenant, runId), request, commandId);
      return { runId, name, did: 'done' };
    } catch (thrown) {
      const { code, message } = errorRecordOf(thrown);
      return { runId, name, did: 'refused', code, message };
    }
  }

  private tell(address: ReturnType<typeof addressOf>, { verb, signal, reason }: BulkRequest, id: string): Promise<void> {
    if (verb === 'signal' && signal !== undefined) return this.runs.signal(address, { ...signal, id });
    return this.runs.control(address, verb as Exclude<BulkVerb, 'signal'>, { id, ...(reason === undefined ? {} : { reason }) });
  }

  /** A UUID of version 7 with the time of the bulk's own id: the owner's memory of commands counts from there. */
  private commandIdOf(bulkId: string, runId: string): string {
    const hash = this.host.digest.sha256(`${bulkId}\n${runId}`);
    return `${bulkId.slice(0, 14)}7${hash.slice(0, 3)}-8${hash.slice(3, 6)}-${hash.slice(6, 18)}`;
  }
}
