// What EventStoreDB does, as arrays and maps: written from its rules, sharing nothing with the engine that it judges.
//
// 1. The log is one array; everything else is computed from it anew for each question.
// 2. All that is written is durable at once: a restart or a power cut changes nothing here.

export type ModelExpected = number | 'any' | 'no-stream' | 'stream-exists';

export interface ModelProposal {
  readonly id: string;
  readonly type: string;
  readonly data: string;
}

export interface ModelEvent {
  readonly stream: string;
  /** `end` = the stream was deleted for ever. */
  readonly revision: number | 'end';
  readonly type: string;
  readonly data: string;
  readonly atMs: number;
  /** Undefined = the server chose it. */
  readonly id: string | undefined;
}

export type ModelAnswer =
  /** `at` = its place in the log; undefined when nothing was written. */
  | { readonly kind: 'appended'; readonly revision: number; readonly at: number | undefined }
  | { readonly kind: 'wrong-version'; readonly current: number }
  | { readonly kind: 'stream-deleted' };

export interface ModelRead {
  readonly from: 'start' | 'end' | number;
  readonly backwards: boolean;
  readonly limit: number;
}

interface Limits {
  readonly maxCount?: number;
  readonly maxAgeMs?: number;
  readonly truncateBefore?: number;
  readonly isSoftDeleted?: boolean;
}

type Found = ModelEvent & { readonly at: number };

const SOFT_DELETED = '{"$tb":9223372036854775807}';
const WRONG = 'wrong-version';

export class StoreModel {
  readonly log: ModelEvent[] = [];
  nowMs = 0;

  append(stream: string, expected: ModelExpected, events: readonly ModelProposal[]): ModelAnswer {
    const refusal = this.check(stream, expected, events);
    if (refusal !== 'write') return refusal;
    if (events.length > 0 && this.limitsOf(stream).isSoftDeleted) this.revive(stream);
    for (const event of events) this.write(stream, event);
    return { kind: 'appended', revision: this.current(stream), at: events.length === 0 ? undefined : this.log.length - 1 };
  }

  softDelete(stream: string, expected: ModelExpected): ModelAnswer {
    const refusal = this.check(stream, expected, []);
    if (refusal !== 'write') return refusal;
    if (this.limitsOf(stream).isSoftDeleted) return { kind: 'stream-deleted' };
    if (this.eventsOf(stream).length === 0 && this.eventsOf(`$$${stream}`).length === 0) return { kind: WRONG, current: -1 };
    this.write(`$$${stream}`, { id: undefined, type: '$metadata', data: SOFT_DELETED });
    return { kind: 'appended', revision: this.current(`$$${stream}`), at: this.log.length - 1 };
  }

  tombstone(stream: string, expected: ModelExpected): ModelAnswer {
    const refusal = this.check(stream, expected, []);
    if (refusal !== 'write') return refusal;
    this.log.push({ stream, revision: 'end', type: '$streamDeleted', data: '', atMs: this.nowMs, id: undefined });
    return { kind: 'appended', revision: this.current(stream), at: this.log.length - 1 };
  }

  readStream(stream: string, { from, backwards, limit }: ModelRead): readonly Found[] | 'missing' | 'deleted' {
    if (this.isTombstoned(stream)) return 'deleted';
    const last = this.current(stream);
    if (last < 0 || this.limitsOf(stream).isSoftDeleted) return 'missing';
    const seen = this.visible(stream);
    if (!backwards) {
      const first = from === 'start' ? 0 : from === 'end' ? last + 1 : from;
      return seen.filter(({ revision }) => (revision as number) >= first).slice(0, limit);
    }
    const first = from === 'start' ? 0 : from === 'end' ? last : from;
    return seen
      .filter(({ revision }) => (revision as number) <= first)
      .reverse()
      .slice(0, limit);
  }

  /** `from` = a place in the log: inclusive forwards, exclusive backwards. */
  readLog({ from, backwards, limit }: ModelRead): readonly Found[] {
    const all = this.log.map((event, at) => ({ ...event, at }));
    const first = from === 'start' ? 0 : from === 'end' ? all.length : from;
    return (backwards ? all.slice(0, first).reverse() : all.slice(first)).slice(0, limit);
  }

  /** What a reader may see: limits hide, the log keeps. */
  visible(stream: string): readonly Found[] {
    const limits = this.limitsOf(stream);
    const maxCount = stream.startsWith('$$') ? 1 : limits.maxCount;
    const last = this.current(stream);
    return this.eventsOf(stream).filter(({ revision, atMs }) => {
      if (limits.isSoftDeleted || (revision as number) < (limits.truncateBefore ?? 0)) return false;
      if (maxCount !== undefined && (revision as number) <= last - maxCount) return false;
      return limits.maxAgeMs === undefined || atMs >= this.nowMs - limits.maxAgeMs;
    });
  }

  /** -1 when there is none. */
  current(stream: string): number {
    return this.eventsOf(stream).length - 1;
  }

  eventsOf(stream: string): readonly Found[] {
    return this.log.map((event, at) => ({ ...event, at })).filter((event) => event.stream === stream && event.revision !== 'end');
  }

  tombstoneOf(stream: string): Found | undefined {
    const at = this.log.findIndex((event) => event.stream === stream && event.revision === 'end');
    return at < 0 ? undefined : { ...(this.log[at] as ModelEvent), at };
  }

  isTombstoned(stream: string): boolean {
    return this.tombstoneOf(stream) !== undefined;
  }

  private check(stream: string, expected: ModelExpected, events: readonly ModelProposal[]): ModelAnswer | 'write' {
    if (this.isTombstoned(stream)) return { kind: 'stream-deleted' };
    const wrong: ModelAnswer = { kind: WRONG, current: this.current(stream) };
    if (expected === 'any' || expected === 'stream-exists') return this.checkLoose(stream, expected, { events, wrong });
    return this.checkExact(stream, expected === 'no-stream' ? -1 : expected, { events, wrong });
  }

  private checkLoose(
    stream: string,
    expected: 'any' | 'stream-exists',
    { events, wrong }: { readonly events: readonly ModelProposal[]; readonly wrong: ModelAnswer },
  ): ModelAnswer | 'write' {
    if (expected === 'stream-exists') {
      if (this.limitsOf(stream).isSoftDeleted) return { kind: 'stream-deleted' };
      if (this.current(stream) < 0 && this.current(`$$${stream}`) < 0) return wrong;
    }
    const known = events.map(({ id }) => this.eventsOf(stream).findLast((event) => event.id === id));
    if (known[0] === undefined) return 'write';
    if (known.includes(undefined)) return wrong;
    const last = known[known.length - 1] as Found;
    return { kind: 'appended', revision: last.revision as number, at: last.at };
  }

  private checkExact(
    stream: string,
    expected: number,
    { events, wrong }: { readonly events: readonly ModelProposal[]; readonly wrong: ModelAnswer },
  ): ModelAnswer | 'write' {
    const current = this.current(stream);
    if (expected === current) return 'write';
    if (expected > current || events.length === 0) return wrong;
    const there = this.eventsOf(stream).slice(expected + 1, expected + 1 + events.length);
    const same = events.findIndex(({ id }, index) => there[index]?.id !== id);
    if (same === 0 && expected === -1 && this.limitsOf(stream).isSoftDeleted) return 'write';
    if (same >= 0) return wrong;
    const last = there[there.length - 1] as Found;
    return { kind: 'appended', revision: last.revision as number, at: last.at };
  }

  private write(stream: string, event: Pick<ModelEvent, 'id' | 'type' | 'data'>): void {
    this.log.push({ stream, revision: this.current(stream) + 1, atMs: this.nowMs, ...event });
  }

  private revive(stream: string): void {
    const metadata = this.eventsOf(`$$${stream}`).at(-1)?.data ?? '';
    const parsed = JSON.parse(metadata) as Record<string, unknown>;
    const data = JSON.stringify({ ...parsed, $tb: this.current(stream) + 1 });
    this.write(`$$${stream}`, { id: undefined, type: '$metadata', data });
  }

  private limitsOf(stream: string): Limits {
    const text = this.eventsOf(`$$${stream}`).at(-1)?.data;
    if (text === undefined) return {};
    let parsed: unknown;
    try {
      parsed = JSON.parse(text);
    } catch {
      return {};
    }
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return {};
    const { $maxCount, $maxAge, $tb } = parsed as Record<string, unknown>;
    for (const value of [$maxCount, $maxAge, $tb]) {
      if (value !== undefined && (!Number.isInteger(value) || Math.abs(value as number) > 2 ** 63)) return {};
    }
    return {
      ...(($maxCount as number) > 0 ? { maxCount: $maxCount as number } : {}),
      ...(($maxAge as number) > 0 ? { maxAgeMs: ($maxAge as number) * 1000 } : {}),
      ...(($tb as number) >= 0 ? { truncateBefore: $tb as number } : {}),
      isSoftDeleted: $tb === 2 ** 63,
    };
  }
}
