import {
  delay,
  StoreUnavailable,
  type EventData,
  type EventStore,
  type Host,
  type Position,
  type RecordedEvent,
} from '@perdure/kernel';
import { runStream, type RunAddress } from '@perdure/run-contract';
import { evolve, noRun, type RunState } from '@perdure/run-domain';
import type { RunCodec } from './run.codec';
import type { Snapshots } from './snapshots';

/**
 * Reading and appending the stream of one run.
 *
 * 1. An append whose answer is not known is sent again, byte for byte, until there is an answer.
 *    Nothing is decided anew under ids that may have been used.
 * 2. A refused revision means "perhaps I no longer own it": the caller drops what it holds and reads again.
 */

/** Events of one read of the log; a page of the store's own size. */
const PAGE = 500;
const RESEND_DELAY_MS = 50;
const RESEND_DELAY_MS_MAX = 1_000;

export type Appended = { readonly outcome: 'appended'; readonly position: Position } | { readonly outcome: 'fenced' };

export class RunLog {
  constructor(
    private readonly ports: { readonly store: EventStore; readonly host: Host },
    private readonly codec: RunCodec,
    private readonly snapshots: Snapshots,
  ) {}

  /** The present state, from the newest snapshot that this build can read and the facts after it. */
  async load(address: RunAddress, heard: (recorded: RecordedEvent) => void = () => undefined): Promise<RunState> {
    const snapshot = await this.snapshots.load(address);
    let state: RunState = snapshot ?? noRun;
    for (;;) {
      const page = await this.read(address, state.revision + 1);
      for (const recorded of page) {
        state = evolve(state, await this.codec.decode(address, recorded));
        heard(recorded);
      }
      if (page.length < PAGE) return state;
    }
  }

  private async read(address: RunAddress, from: number): Promise<readonly RecordedEvent[]> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.ports.store.read(runStream.build(address), { direction: 'forward', from, limit: PAGE });
      } catch (error) {
        if (!(error instanceof StoreUnavailable)) throw error;
        await delay(this.ports.host, backOffMs(attempt));
      }
    }
  }

  /** Whether nothing was appended after `revision`. @throws StoreUnavailable */
  async isHead(address: RunAddress, revision: number): Promise<boolean> {
    const [newest] = await this.ports.store.read(runStream.build(address), { direction: 'backward', from: 'end', limit: 1 });
    return (newest?.revision ?? -1) === revision;
  }

  async append(address: RunAddress, lastRevision: number, events: readonly EventData[]): Promise<Appended> {
    const expected = lastRevision < 0 ? 'no-stream' : lastRevision;
    const { store, host } = this.ports;
    for (let attempt = 0; ; attempt += 1) {
      try {
        const result = await store.append(runStream.build(address), expected, events);
        return result.outcome === 'appended' ? { outcome: 'appended', position: result.position } : { outcome: 'fenced' };
      } catch (error) {
        if (!(error instanceof StoreUnavailable)) throw error;
        host.log.warn('append without an answer: sending it again', { stream: runStream.build(address), attempt });
        await delay(host, backOffMs(attempt));
      }
    }
  }
}

function backOffMs(attempt: number): number {
  return Math.min(RESEND_DELAY_MS_MAX, RESEND_DELAY_MS * 2 ** attempt);
}
