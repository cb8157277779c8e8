import type { Json, Keeper, RecordedEvent } from '@perdure/kernel';
import {
  runAddress,
  runEventSchemas,
  runStream,
  TERMINAL_EVENT_TYPES,
  type ParentClosePolicy,
  type RunAddress,
  type RunEvent,
} from '@perdure/run-contract';

/**
 * The index of the promises about children, of every partition: which were asked for, and have not come to their end
 * where that matters to somebody.
 */
export interface KnownChild {
  readonly child: RunAddress;
  readonly parent: RunAddress;
  readonly call: string;
  /** Of the fact that asked for it, in the stream of its parent. */
  readonly revision: number;
  readonly parentClose: ParentClosePolicy;
  /** It is known to exist. */
  begun: boolean;
  ended: boolean;
  /** Its parent has ended, or has been rewound to before it. */
  orphaned: boolean;
  /** Its owner has heard that it is to be cancelled. */
  cancelled: boolean;
  /** Its call has ended, with its start. */
  unawaited: boolean;
}

export interface ChildNews {
  /** It was asked for, by whichever instance. */
  onRequested(child: KnownChild): void;
  /** Somebody waits for its outcome. */
  onEnded(child: KnownChild): void;
  onOrphaned(child: KnownChild): void;
  onCaughtUp(): void;
}

const PARENT_ENDS: readonly string[] = [...TERMINAL_EVENT_TYPES, 'RunEnding', 'RunRewound', 'RunContinued'];
const TERMINAL: ReadonlySet<string> = new Set(TERMINAL_EVENT_TYPES);
const TYPES: readonly string[] = [
  'ChildRequested',
  'ChildStarted',
  'ChildEnded',
  'RunAssigned',
  'RunEnding',
  'RunRewound',
  'RunContinued',
  ...TERMINAL_EVENT_TYPES,
];

type Told = Pick<RecordedEvent, 'stream' | 'revision' | 'type' | 'data'>;

export class ChildIndex implements Keeper {
  readonly name = 'children';
  readonly eventTypes = TYPES;
  /** The log has been read to its head. */
  complete = false;
  /** By the stream of the child. */
  private readonly children = new Map<string, KnownChild>();
  private readonly ofParent = new Map<string, Set<string>>();
  /** What was told as over may be told as asked for by another way, until the next checkpoint. */
  private over = new Set<string>();

  constructor(private readonly news: ChildNews) {}

  get size(): number {
    return this.children.size;
  }

  find(child: RunAddress): KnownChild | undefined {
    return this.children.get(runStream.build(child));
  }

  *all(): Iterable<KnownChild> {
    yield* this.children.values();
  }

  restore(index: Json | undefined): void {
    this.children.clear();
    this.ofParent.clear();
    this.over.clear();
    for (const known of (index ?? []) as unknown as readonly KnownChild[]) this.keep(known);
  }

  snapshot(): Json {
    this.over = new Set();
    return [...this.children.values()].map((known) => ({ ...known })) as unknown as Json;
  }

  caughtUp(): void {
    if (this.complete) return;
    this.complete = true;
    this.news.onCaughtUp();
  }

  /** A fact that this process appended itself: it need not wait for the log to tell it. */
  noteOwn(address: RunAddress, event: RunEvent, revision: number): void {
    if (TYPES.includes(event.type))
      this.apply({ stream: runStream.build(address), revision, type: event.type, data: event.data });
  }

  apply(fact: Told): void {
    switch (fact.type) {
      case 'ChildRequested':
        return this.requested(fact);
      case 'ChildStarted':
      case 'ChildEnded':
        return this.answered(fact);
      case 'RunAssigned':
        return this.begun(fact.stream);
      default:
        if (TERMINAL.has(fact.type)) this.ended(fact.stream);
        if (PARENT_ENDS.includes(fact.type)) this.orphan(fact);
    }
  }

  private requested({ stream, revision, data }: Told): void {
    const { call, child: runId, parentClose } = runEventSchemas.ChildRequested.parse(data);
    const parent = runStream.parse(stream);
    const child = runAddress(parent.tenant, runId);
    const name = runStream.build(child);
    if (this.children.has(name) || this.over.has(name)) return;
    const flags = { begun: false, ended: false, orphaned: false, cancelled: false, unawaited: false };
    const known: KnownChild = { child, parent, call, revision, parentClose, ...flags };
    this.keep(known);
    if (this.complete) this.news.onRequested(known);
  }

  private answered({ stream, type, data }: Told): void {
    const { child } = data as { readonly child: string };
    const known = this.children.get(runStream.build(runAddress(runStream.parse(stream).tenant, child)));
    if (known === undefined) return;
    known.begun = true;
    known.unawaited = true;
    if (type === 'ChildEnded' || known.ended || known.parentClose === 'abandon') this.forget(known);
  }

  private begun(stream: string): void {
    const known = this.children.get(stream);
    if (known === undefined) return;
    known.begun = true;
    if (known.orphaned && known.parentClose === 'abandon') this.forget(known);
  }

  private ended(stream: string): void {
    const known = this.children.get(stream);
    if (known === undefined || known.ended) return;
    known.begun = true;
    known.ended = true;
    if (known.unawaited || known.orphaned) this.forget(known);
    else if (this.complete) this.news.onEnded(known);
  }

  /** Those that were asked for before: a rewind asks for others after it. */
  private orphan({ stream, revision }: Told): void {
    for (const name of this.ofParent.get(stream) ?? []) {
      const known = this.children.get(name);
      if (known === undefined || known.revision > revision) continue;
      known.orphaned = true;
      if (known.ended || (known.begun && known.parentClose === 'abandon')) this.forget(known);
      else if (this.complete) this.news.onOrphaned(known);
    }
  }

  /** There is nothing more to do about it. */
  forget(known: KnownChild): void {
    const name = runStream.build(known.child);
    const parent = runStream.build(known.parent);
    this.children.delete(name);
    this.over.add(name);
    const siblings = this.ofParent.get(parent);
    siblings?.delete(name);
    if (siblings?.size === 0) this.ofParent.delete(parent);
  }

  private keep(known: KnownChild): void {
    const name = runStream.build(known.child);
    const parent = runStream.build(known.parent);
    this.children.set(name, known);
    const siblings = this.ofParent.get(parent) ?? new Set();
    this.ofParent.set(parent, siblings.add(name));
  }
}
