import type { EventStore, RecordedEvent } from '@perdure/kernel';
import {
  AWAIT_HOLD_MS_MAX,
  isRunEventType,
  runStream,
  TERMINAL_EVENT_TYPES,
  type ModelCallFact,
  type ModelCallPage,
  type RunAddress,
  type RunEvent,
  type RunEventOf,
  type RunEventType,
} from '@perdure/run-contract';
import { isOpen, type RunState } from '@perdure/run-domain';
import { keyOf } from './activation-keeper';
import type { AppendedFacts } from './run.actor';
import type { RunCodec } from './run.codec';
import type { Waiters } from './waiters';

/** Facts of one read of the log; a page of the store's own size. */
const PAGE = 500;
/** Characters of text in one page, beyond the first text: an answer fits into a message of the bus. */
const PAGE_CHARS_MAX = 1_000_000;

type Tellers = { readonly [T in RunEventType]?: (event: RunEventOf<T>, revision: number) => ModelCallFact };

/** What a fact means to who reads the text of model calls. Any other means nothing to it. */
const TELLERS: Tellers = {
  RunAssigned: ({ data }, revision) => ({ type: 'assigned', revision, epoch: data.epoch }),
  ModelCallIntended: ({ data }, revision) => ({ type: 'began', revision, call: data.call }),
  ModelCallCompleted: ({ data, report }, revision) => {
    const { call, attempt, decision } = data;
    return { type: 'completed', revision, call, epoch: report?.epoch ?? 0, attempt, text: decision.text };
  },
  ModelCallFailed: ({ data, report }, revision) => {
    const { call, attempt, retryAtMs } = data;
    return { type: 'failed', revision, call, epoch: report?.epoch ?? 0, attempt, final: retryAtMs === undefined };
  },
  RunRewound: ({ data }, revision) => ({ type: 'rewound', revision, to: data.to }),
};

function tellerOf(type: string): ((event: RunEvent, revision: number) => ModelCallFact) | undefined {
  return isRunEventType(type) ? (TELLERS[type] as ReturnType<typeof tellerOf>) : undefined;
}

const TERMINAL: ReadonlySet<string> = new Set(TERMINAL_EVENT_TYPES);

interface ModelCallPorts {
  readonly store: EventStore;
  readonly codec: RunCodec;
  readonly readers: Waiters;
  /** The run as its owner has it. */
  stateOf(address: RunAddress): Promise<RunState>;
}

/** Tells readers what the log says of model calls, as soon as it says so. */
export class ModelCalls {
  constructor(private readonly ports: ModelCallPorts) {}

  /** What was appended may be what readers wait for. */
  onAppended({ address, after, events }: AppendedFacts): void {
    if (after.status === 'ended' || events.some(({ type }) => tellerOf(type) !== undefined))
      this.ports.readers.wake(keyOf(address));
  }

  /** Undefined: there is no such run. */
  async page(address: RunAddress, { from, holdMs }: { from: number; holdMs: number }): Promise<ModelCallPage | undefined> {
    const { readers, stateOf } = this.ports;
    let state = await stateOf(address);
    if (state.status === 'none') return undefined;
    if (isOpen(state) && state.revision < from) {
      await readers.wait(keyOf(address), Math.min(holdMs, AWAIT_HOLD_MS_MAX));
      state = await stateOf(address);
    }
    if (state.revision < from) return { facts: [], next: from, ended: state.status === 'ended' };
    return this.read(address, from);
  }

  private async read(address: RunAddress, from: number): Promise<ModelCallPage> {
    const recorded = await this.ports.store.read(runStream.build(address), { direction: 'forward', from, limit: PAGE });
    const facts: ModelCallFact[] = [];
    let chars = 0;
    let last: RecordedEvent | undefined;
    for (const event of recorded) {
      if (chars > PAGE_CHARS_MAX) break;
      last = event;
      const tell = tellerOf(event.type);
      if (tell === undefined) continue;
      const fact = tell(await this.ports.codec.decode(address, event), event.revision);
      facts.push(fact);
      if (fact.type === 'completed') chars += fact.text.length;
    }
    return { facts, next: last === undefined ? from : last.revision + 1, ended: last !== undefined && TERMINAL.has(last.type) };
  }
}
