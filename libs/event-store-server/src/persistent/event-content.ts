import { LINK_TYPE, linkTarget } from '../engine/links';
import type { StoreEngine } from '../engine/store-engine';
import { eventIdOf } from '../store/record';
import { EventDamaged } from '../errors';
import type { StrategyName } from '../wire/persistent-requests';
import type { Content } from './message';
import { isPinning, pinBucket } from './pin-bucket';

/** The records of an event, with that of its target when it is a link to be followed; an error when they are damaged. */
export function contentOf(engine: StoreEngine, event: number, options: { readonly resolveLinks: boolean }): Content | Error {
  return unlessDamaged(() => {
    const record = engine.record(event);
    const base = { id: eventIdOf(record).toString('hex'), position: engine.index.columns.position(event) };
    if (!options.resolveLinks || engine.index.typeOf(event) !== LINK_TYPE) return { ...base, event: record, link: undefined };
    const target = linkTarget(engine, record);
    return { ...base, event: target === undefined ? undefined : engine.record(target), link: record };
  });
}

export function bucketOfEvent(
  engine: StoreEngine,
  event: number,
  options: { readonly strategy: StrategyName; readonly resolveLinks: boolean },
): number {
  const { strategy } = options;
  if (!isPinning(strategy)) return 0;
  const content = contentOf(engine, event, options);
  // A damaged one goes nowhere: any bucket will do until that is found out.
  if (content instanceof Error) return 0;
  const record = content.event ?? content.link;
  return record === undefined ? 0 : pinBucket(strategy, record);
}

/** An error instead of bytes that are not what was written. */
export function unlessDamaged<T>(read: () => T): T | Error {
  try {
    return read();
  } catch (error) {
    if (error instanceof EventDamaged) return error;
    throw error;
  }
}
