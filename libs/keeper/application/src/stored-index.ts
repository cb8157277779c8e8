import type { EventStore, FactMark, Host, Keeper, StoredKeeper } from '@perdure/kernel';
import { untilAnswered } from './until-answered';

export function isStored(keeper: Keeper | StoredKeeper): keeper is StoredKeeper {
  return 'saved' in keeper;
}

/**
 * From where the log must be told to a keeper that has its index on disk. A disk outlives a log that was restored from
 * a backup, or begun anew: the index counts only if the last fact it has seen stands in this log, at its place.
 */
export async function resume(
  keeper: StoredKeeper,
  ports: { readonly store: EventStore; readonly host: Host; isStopped(): boolean },
): Promise<FactMark | undefined> {
  const { saved } = keeper;
  if (saved === undefined) return undefined;
  const read = () => ports.store.read(saved.stream, { direction: 'forward', from: saved.revision, limit: 1 });
  const [found] = await untilAnswered(ports, read);
  if (found?.id === saved.id) return saved;
  ports.host.log.warn('the log does not hold the last fact of an index on disk; it is made anew', { keeper: keeper.name });
  await keeper.clear();
  return undefined;
}
