import { type StreamAcl, readAcl } from './stream-acl';

/** The part of a stream's metadata that changes what a read returns, and to whom. */
export interface StreamLimits {
  readonly maxCount: number | undefined;
  readonly maxAgeSeconds: number | undefined;
  /** Infinity = soft-deleted. */
  readonly truncateBefore: number | undefined;
  readonly acl: StreamAcl | undefined;
}

/** 2^63-1: written by a soft delete. It does not fit a JavaScript number, so it is handled as text. */
export const SOFT_DELETED_METADATA = '{"$tb":9223372036854775807}';
/** 2^63-1 as JSON.parse reads it. */
const TWO_63 = 2 ** 63;
const TRUNCATE_BEFORE = /"\$tb"\s*:\s*\d+/;

/** Undefined when the text is not the JSON of an object, or a limit is not a whole number: such metadata has no effect. */
export function parseLimits(text: string): StreamLimits | undefined {
  const fields = fieldsOf(text);
  if (fields === undefined) return undefined;
  const { $maxCount, $maxAge, $tb } = fields;
  const isUsable = [$maxCount, $maxAge, $tb].every((value) => value === undefined || isWholeNumber(value));
  if (!isUsable) return undefined;
  return {
    maxCount: atLeast(1, $maxCount),
    maxAgeSeconds: atLeast(1, $maxAge),
    truncateBefore: $tb === TWO_63 ? Number.POSITIVE_INFINITY : atLeast(0, $tb),
    acl: readAcl(fields['$acl']),
  };
}

function fieldsOf(text: string): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    const isObject = parsed !== null && typeof parsed === 'object' && !Array.isArray(parsed);
    return isObject ? (parsed as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function isWholeNumber(value: unknown): boolean {
  return Number.isInteger(value) && Math.abs(value as number) <= TWO_63;
}

/** A limit below the least one that makes sense is none. */
function atLeast(least: number, value: unknown): number | undefined {
  return typeof value === 'number' && value >= least ? value : undefined;
}

/** Metadata of a stream that lives again: all as it was, but it begins at `revision`. */
export function revivedMetadata(text: string, revision: number): string {
  const replaced = text.replace(TRUNCATE_BEFORE, `"$tb":${revision}`);
  if (parseLimits(replaced)?.truncateBefore === revision) return replaced;
  // What was replaced was a field of a user. Written anew, numbers beyond 2^53 are rounded.
  return JSON.stringify({ ...fieldsOf(text), $tb: revision });
}

export const METASTREAM_PREFIX = '$$';
export const METADATA_TYPE = '$metadata';
export const TOMBSTONE_TYPE = '$streamDeleted';

/** The stream that `name` describes, when it is a metastream. */
export function describedStream(name: string): string | undefined {
  return name.startsWith(METASTREAM_PREFIX) ? name.slice(METASTREAM_PREFIX.length) : undefined;
}
