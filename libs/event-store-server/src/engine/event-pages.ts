import { eventIdOf, recordedEventOf } from '../store/record';
import type { ReadRequest } from '../wire/requests';
import { putReadEvent, readLink } from '../wire/responses';
import { withStructuredId } from '../wire/recorded-event';
import { LINK_TYPE, type MayRead, linkTarget } from './links';
import type { StoreEngine } from './store-engine';

export const PAGE_EVENTS = 256;
export const PAGE_BYTES = 256 * 1024;

export interface PageBounds {
  readonly events?: number;
  readonly bytes?: number;
}

/** How the reader wants its events. */
export type PageForm = Pick<ReadRequest, 'structuredIds' | 'resolveLinks'> & {
  /** Undefined = everything. Links stand for what the reader may read. */
  readonly mayRead?: MayRead | undefined;
};

/** A page in the making: event numbers, bounded in count and bytes. */
export class Page {
  readonly events: number[] = [];
  private bytes = 0;
  private readonly eventsMax: number;
  private readonly bytesMax: number;

  constructor(
    private readonly engine: StoreEngine,
    { events = PAGE_EVENTS, bytes = PAGE_BYTES }: PageBounds = {},
  ) {
    this.eventsMax = events;
    this.bytesMax = bytes;
  }

  get isFull(): boolean {
    return this.events.length >= this.eventsMax || this.bytes >= this.bytesMax;
  }

  add(event: number): void {
    this.events.push(event);
    this.bytes += this.engine.index.columns.length(event);
  }

  /** All events as framed answers, one after the other. */
  frame(form: PageForm): Buffer {
    if (form.resolveLinks && this.events.some((event) => this.isLink(event))) return this.frameLinks(form);
    return this.frameEvents(form.structuredIds);
  }

  private isLink(event: number): boolean {
    return this.engine.index.typeOf(event) === LINK_TYPE;
  }

  /** Links are rare: each event is framed by itself. */
  private frameLinks({ structuredIds, mayRead }: PageForm): Buffer {
    const { engine } = this;
    const formOf = (record: Buffer): Buffer => recordedForm(record, structuredIds);
    return Buffer.concat(
      this.events.map((event) => {
        if (!this.isLink(event)) return new Page(engine).with(event).frameEvents(structuredIds);
        const link = engine.record(event);
        const target = linkTarget(engine, link, mayRead);
        const found = target === undefined ? undefined : formOf(engine.record(target));
        return readLink(formOf(link), found, engine.index.columns.position(event));
      }),
    );
  }

  private with(event: number): this {
    this.add(event);
    return this;
  }

  private frameEvents(structuredIds: boolean): Buffer {
    // A record has more bytes around its event than the frame around the copy of it.
    const target = Buffer.allocUnsafe(this.bytes);
    const runs = new RunReader(this.engine);
    let end = 0;
    for (const [at, event] of this.events.entries()) {
      const record = runs.record(this.events, at);
      const recorded = recordedForm(record, structuredIds);
      end = putReadEvent(target, end, { recorded, position: this.engine.index.columns.position(event) });
    }
    return target.subarray(0, end);
  }
}

/** A stored record as its reader wants the event. */
export function recordedForm(record: Buffer, structuredIds: boolean): Buffer {
  const stored = recordedEventOf(record);
  return structuredIds ? withStructuredId(stored, eventIdOf(record)) : stored;
}

/** Reads neighbouring records with one access. */
class RunReader {
  private bytes: Buffer = Buffer.alloc(0);
  private start = 0;

  constructor(private readonly engine: StoreEngine) {}

  record(events: readonly number[], at: number): Buffer {
    const { columns } = this.engine.index;
    const event = events[at] as number;
    const position = columns.position(event);
    const length = columns.length(event);
    if (position < this.start || position + length > this.start + this.bytes.length) {
      this.start = position;
      this.bytes = this.engine.bytes(position, this.runLength(events, at));
    }
    return this.bytes.subarray(position - this.start, position - this.start + length);
  }

  private runLength(events: readonly number[], at: number): number {
    const { columns } = this.engine.index;
    const first = events[at] as number;
    let end = columns.position(first) + columns.length(first);
    for (let next = at + 1; next < events.length && columns.position(events[next] as number) === end; next += 1) {
      end += columns.length(events[next] as number);
    }
    return end - columns.position(first);
  }
}
