import { delay, type Host } from '@perdure/kernel';
import type { RunCommands } from '@perdure/keeper-application';
import type { RunRecord } from '@perdure/admission-domain';
import { runAddress } from '@perdure/run-contract';

/** A flood is refused at this width; the rest of it waits here, in memory, for its refusal. */
const REFUSALS_UNDER_WAY_MAX = 64;
const REQUEST_TIMEOUT_MS = 1_000;
const REPEAT_FIRST_MS = 50;
const REPEAT_MAX_MS = 2_000;
/** About the time in which a busy pool has made some room. */
export const POOL_FULL_RETRY_MS = 2_000;

/** Runs for which there is no room: their owners are told until they have answered. */
export class Refusals {
  private readonly waiting = new Set<RunRecord>();
  private underWay = 0;

  constructor(private readonly ports: { readonly host: Host; readonly commands: RunCommands }) {}

  add(record: RunRecord): void {
    this.waiting.add(record);
    this.pump();
  }

  abandonAll(): void {
    this.waiting.clear();
  }

  private pump(): void {
    for (const record of this.waiting) {
      if (this.underWay >= REFUSALS_UNDER_WAY_MAX) return;
      this.waiting.delete(record);
      if (record.state !== 'refusing') continue;
      this.underWay += 1;
      void this.refuse(record).finally(() => {
        this.underWay -= 1;
        this.pump();
      });
    }
  }

  private async refuse(record: RunRecord): Promise<void> {
    const { host, commands } = this.ports;
    const message = `The queue of pool ${record.pool} is full. Start the run again later, or add workers to the pool.`;
    const envelope = commands.envelope({ type: 'RefuseRun', code: 'PoolQueueFull', message, retryAfterMs: POOL_FULL_RETRY_MS });
    const address = runAddress(record.tenant, record.runId);
    for (let waitMs = REPEAT_FIRST_MS; record.state === 'refusing'; waitMs = Math.min(waitMs * 2, REPEAT_MAX_MS)) {
      const reply = await commands.send(address, envelope, REQUEST_TIMEOUT_MS);
      // The fact that follows, RunRefused or any other, says how it went on.
      if (reply.status === 'accepted' || (reply.status === 'refused' && reply.error.reaction !== 'retryable')) return;
      await delay(host, waitMs);
    }
  }
}
