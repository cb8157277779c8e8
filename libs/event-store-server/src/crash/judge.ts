/** One append, as its writer saw it end. */
export interface AppendRecord {
  readonly stream: string;
  readonly ids: readonly string[];
  /** `unknown`: it may be there or not. */
  readonly outcome: 'acknowledged' | 'refused' | 'unknown';
  /** Of its last event; acknowledged ones only. */
  readonly revision?: number;
}

export interface FoundEvent {
  readonly id: string;
  readonly stream: string;
  readonly revision: number;
  readonly commit: bigint;
}

export interface StoreEvidence {
  /** In the order in which each stream's writer made them. */
  readonly appends: readonly AppendRecord[];
  /** The whole log, in its own order. */
  readonly log: readonly FoundEvent[];
  /** What each follower was given, in order, and what it had to be given. */
  readonly followers: readonly {
    readonly name: string;
    readonly seen: readonly string[];
    readonly wanted: (event: FoundEvent) => boolean;
  }[];
}

export interface StoreVerdict {
  readonly acknowledged: number;
  readonly missing: number;
  readonly reordered: number;
  readonly violations: readonly string[];
}

/** What must hold of a store that was killed again and again: nothing acknowledged is lost, torn, doubled or moved. */
export function judgeStore({ appends, log, followers }: StoreEvidence): StoreVerdict {
  const violations: string[] = [];
  const places = placesOf(log, violations);
  let acknowledged = 0;
  let missing = 0;
  let reordered = 0;
  const reached = new Map<string, number>();
  for (const append of appends) {
    const found = append.ids.map((id) => places.get(id));
    const there = found.filter((event) => event !== undefined);
    if (append.outcome === 'acknowledged') acknowledged += append.ids.length;
    if (append.outcome === 'acknowledged' && there.length < append.ids.length) {
      missing += append.ids.length - there.length;
      violations.push(`${append.stream}: ${append.ids.length - there.length} acknowledged events are not there`);
    }
    if (append.outcome === 'refused' && there.length > 0) violations.push(`${append.stream}: a refused append is there`);
    if (there.length > 0 && there.length < append.ids.length) violations.push(`${append.stream}: an append is torn`);
    const order = orderFault(append, there, reached.get(append.stream) ?? -1);
    if (order !== undefined) {
      reordered += 1;
      violations.push(`${append.stream}: ${order}`);
    }
    const last = there[there.length - 1];
    if (last !== undefined) reached.set(append.stream, last.revision);
  }
  for (const follower of followers) violations.push(...followerFaults(follower, log));
  return { acknowledged, missing, reordered, violations };
}

function placesOf(log: readonly FoundEvent[], violations: string[]): ReadonlyMap<string, FoundEvent> {
  const places = new Map<string, FoundEvent>();
  const next = new Map<string, number>();
  let before = -1n;
  for (const event of log) {
    const { id, stream, revision, commit } = event;
    if (places.has(id)) violations.push(`${stream}@${revision}: the event ${id} is there twice`);
    if (commit <= before) violations.push(`${stream}@${revision}: its position does not follow the one before it`);
    if (revision !== (next.get(stream) ?? 0))
      violations.push(`${stream}@${revision}: revision ${next.get(stream) ?? 0} had to come`);
    places.set(id, event);
    next.set(stream, revision + 1);
    before = commit;
  }
  return places;
}

function orderFault(append: AppendRecord, there: readonly FoundEvent[], reached: number): string | undefined {
  const [first] = there;
  if (first === undefined) return undefined;
  if (there.some((event, index) => event.revision !== first.revision + index))
    return 'the events of an append do not follow each other';
  if (first.revision <= reached) return `revision ${first.revision} comes after ${reached}, which was written before it`;
  const last = first.revision + there.length - 1;
  if (append.revision === undefined || append.revision === last) return undefined;
  return `acknowledged at revision ${append.revision}, found at ${last}`;
}

function followerFaults(
  { name, seen, wanted }: StoreEvidence['followers'][number],
  log: readonly FoundEvent[],
): readonly string[] {
  const expected = log.filter(wanted).map(({ id }) => id);
  const at = expected.findIndex((id, index) => seen[index] !== id);
  if (at >= 0) return [`${name}: event ${at} of ${expected.length} was ${seen[at] ?? 'never given'}, expected ${expected[at]}`];
  return seen.length > expected.length ? [`${name}: given ${seen.length - expected.length} events too many`] : [];
}
