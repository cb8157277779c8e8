import { CHECKPOINT_SUFFIX, PARKED_SUFFIX } from '../engine/hidden-streams';
import { ALL, type GroupKey } from '../wire/persistent-requests';

// The names under which groups keep their state, and the forms of the places in it. They are EventStoreDB's.

export const CONFIG_STREAM = '$persistentSubscriptionConfig';
const PREFIX = '$persistentsubscription-';
const POSITION = /^C:(\d{1,16})\/P:\d{1,16}$/;
const REVISION = /^\d{1,16}$/;

export function subscriptionId({ source, group }: GroupKey): string {
  return `${source}::${group}`;
}

export function checkpointStream(key: GroupKey): string {
  return PREFIX + subscriptionId(key) + CHECKPOINT_SUFFIX;
}

export function parkedStream(key: GroupKey): string {
  return PREFIX + subscriptionId(key) + PARKED_SUFFIX;
}

/** A revision, or a position as two equal numbers. */
export function placeText({ source }: Pick<GroupKey, 'source'>, place: number): string {
  return source === ALL ? `C:${place}/P:${place}` : String(place);
}

/** Undefined when the text is not what `placeText` makes. */
export function parsePlace({ source }: Pick<GroupKey, 'source'>, text: string): number | undefined {
  if (source !== ALL) return REVISION.test(text) ? Number(text) : undefined;
  const commit = POSITION.exec(text)?.[1];
  return commit === undefined ? undefined : Number(commit);
}
