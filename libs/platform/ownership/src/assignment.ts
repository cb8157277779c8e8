import { PARTITIONS } from '@perdure/kernel';

/** Owner of each partition, by index; the empty text = nobody. */
export type PartitionMap = readonly string[];

export const nobodysMap: PartitionMap = new Array<string>(PARTITIONS).fill('');

/**
 * Spreads the partitions evenly over the live instances and moves as few as possible: an instance keeps what it has up
 * to its share, and only what is left over or ownerless is given away.
 */
export function assign(current: PartitionMap, live: readonly string[]): PartitionMap {
  if (live.length === 0) return current;
  const instances = [...live].sort();
  const share = Math.floor(PARTITIONS / instances.length);
  const extra = PARTITIONS % instances.length;
  const room = new Map(instances.map((instance, index) => [instance, share + (index < extra ? 1 : 0)]));
  const next = new Array<string>(PARTITIONS).fill('');
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    const owner = current[partition] ?? '';
    if (take(room, owner)) next[partition] = owner;
  }
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    if (next[partition] !== '') continue;
    next[partition] = instances.find((instance) => take(room, instance)) ?? '';
  }
  return next;
}

function take(room: Map<string, number>, instance: string): boolean {
  const left = room.get(instance) ?? 0;
  if (left > 0) room.set(instance, left - 1);
  return left > 0;
}

export function sameMap(left: PartitionMap, right: PartitionMap): boolean {
  return left.length === right.length && left.every((owner, partition) => owner === right[partition]);
}

/** Undefined when it is not one: whoever balances next writes a good one. */
export function parseMap(text: string): PartitionMap | undefined {
  try {
    const map: unknown = JSON.parse(text);
    const isMap = Array.isArray(map) && map.length === PARTITIONS && map.every((owner) => typeof owner === 'string');
    return isMap ? (map as string[]) : undefined;
  } catch {
    return undefined;
  }
}
