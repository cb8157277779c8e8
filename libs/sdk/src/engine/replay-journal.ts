import type { Divergence, JournalItem } from '@perdure/run-contract';

export type CallKind = 'step' | 'value' | 'tool' | 'model' | 'sleep' | 'undo' | 'wait' | 'child' | 'message';

/** A call as the code makes it. */
export interface CallIdentity {
  readonly call: string;
  readonly kind: CallKind;
  readonly name: string;
  /** Of the arguments, where they are part of the identity. */
  readonly hash?: string;
}

interface Recorded {
  readonly call: string;
  readonly kind: CallKind;
  readonly name: string;
  readonly hash: string | undefined;
  readonly position: number;
  made: boolean;
}

export interface Delivery extends Recorded {
  readonly outcome: Extract<JournalItem, { type: 'got' }>['outcome'];
}

/** No number of a call begins so. */
const VERSION = 'version:';

export function versionCall(changeId: string): string {
  return `${VERSION}${changeId}`;
}

function isVersion({ call }: Recorded): boolean {
  return call.startsWith(VERSION);
}

/** What the code was given before, in the order in which it was given, and what it had begun. */
export class ReplayJournal {
  readonly length: number;
  private readonly ends = new Map<string, Delivery>();
  private readonly intents = new Map<string, Recorded>();
  private readonly order: Delivery[] = [];
  private cursor = 0;

  constructor(items: readonly JournalItem[]) {
    this.length = items.length;
    items.forEach((item, position) => {
      if (item.type === 'got') {
        const { call, kind, name, outcome } = item;
        const delivery: Delivery = { call, kind, name, outcome, hash: undefined, position, made: false };
        this.ends.set(call, delivery);
        this.order.push(delivery);
      } else if (item.type === 'made') {
        const { call, kind, name, hash } = item;
        this.intents.set(call, { call, kind, name, hash, position, made: false });
      }
    });
  }

  /** Marks the call as made; says how it differs from what is recorded. */
  make(found: CallIdentity): Divergence | undefined {
    const end = this.ends.get(found.call);
    const intent = this.intents.get(found.call);
    for (const recorded of [intent, end]) {
      if (recorded === undefined) continue;
      recorded.made = true;
      const differs = recorded.kind !== found.kind || recorded.name !== found.name;
      if (differs) return divergence(recorded, describe(found));
      if (recorded.hash !== undefined && found.hash !== undefined && recorded.hash !== found.hash) {
        return divergence(recorded, `${describe(found)} with other arguments`);
      }
    }
    return undefined;
  }

  /** How the call ended, or that it was begun. */
  find(call: string): 'ended' | 'begun' | 'unknown' {
    if (this.ends.has(call)) return 'ended';
    return this.intents.has(call) ? 'begun' : 'unknown';
  }

  valueOf(call: string): unknown {
    const outcome = this.ends.get(call)?.outcome;
    return outcome?.ok === true ? outcome.value : undefined;
  }

  /** What the code was told of its version when it came by, if it was. */
  versionOf(changeId: string): number | undefined {
    const recorded = this.ends.get(versionCall(changeId));
    if (recorded === undefined) return undefined;
    recorded.made = true;
    return Number(this.valueOf(recorded.call));
  }

  positionOf(call: string): number | undefined {
    return this.ends.get(call)?.position;
  }

  /**
   * Something is recorded that the code has not asked for yet: it was here before. What it has asked for and was not given yet
   * is no sign of that: results are recorded before the code is given them.
   */
  get hasMore(): boolean {
    const ahead = [...this.order.slice(this.cursor), ...this.intents.values()];
    return ahead.some(({ made }) => !made);
  }

  /** The next delivery; undefined at the end. Versions are not delivered, and code need not ask for them any more. */
  peek(): Delivery | undefined {
    for (let next = this.order[this.cursor]; next !== undefined && isVersion(next); next = this.order[this.cursor])
      this.cursor += 1;
    return this.order[this.cursor];
  }

  advance(): void {
    this.cursor += 1;
  }

  /** Something that is recorded and that the code, which has come to rest, did not do. */
  missing(because = 'the code made no such call'): Divergence | undefined {
    for (let index = this.cursor; index < this.order.length; index += 1) {
      const delivery = this.order[index];
      if (delivery !== undefined && !delivery.made && !isVersion(delivery)) return divergence(delivery, because);
    }
    for (const intent of this.intents.values()) {
      if (!intent.made) return divergence(intent, because);
    }
    return undefined;
  }
}

export function describe({ kind, name }: { readonly kind: CallKind; readonly name: string }): string {
  return kind === 'sleep' ? 'sleep' : `${kind} ${JSON.stringify(name)}`;
}

function divergence(expected: Recorded, found: string): Divergence {
  return { call: expected.call, expected: describe(expected), found, position: expected.position };
}
