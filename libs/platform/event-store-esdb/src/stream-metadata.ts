import type { StreamMetadata } from '@perdure/kernel';

/** Names of EventStoreDB for what it acts on. */
const MAX_COUNT = '$maxCount';
const MAX_AGE = '$maxAge';
const TRUNCATE_BEFORE = '$tb';

export function fieldsOfMetadata({
  maxCount,
  maxAgeSeconds,
  truncateBefore,
  custom,
}: StreamMetadata): Readonly<Record<string, unknown>> {
  return {
    ...custom,
    ...(maxCount === undefined ? {} : { [MAX_COUNT]: maxCount }),
    ...(maxAgeSeconds === undefined ? {} : { [MAX_AGE]: maxAgeSeconds }),
    ...(truncateBefore === undefined ? {} : { [TRUNCATE_BEFORE]: truncateBefore }),
  };
}

/** Other fields that begin with `$` are the store's own and stay its own. */
export function metadataOfFields(data: unknown): StreamMetadata {
  if (data === null || typeof data !== 'object') return {};
  const fields = data as Readonly<Record<string, unknown>>;
  const custom = Object.fromEntries(Object.entries(fields).filter(([name]) => !name.startsWith('$')));
  const number = (name: string): number | undefined => {
    const value = fields[name];
    return typeof value === 'number' ? value : undefined;
  };
  const [maxCount, maxAgeSeconds, truncateBefore] = [number(MAX_COUNT), number(MAX_AGE), number(TRUNCATE_BEFORE)];
  return {
    ...(maxCount === undefined ? {} : { maxCount }),
    ...(maxAgeSeconds === undefined ? {} : { maxAgeSeconds }),
    ...(truncateBefore === undefined ? {} : { truncateBefore }),
    ...(Object.keys(custom).length === 0 ? {} : { custom }),
  };
}
