/** The part of a stream's metadata that changes what a read returns. */
export interface StreamLimits {
  readonly maxCount: number | undefined;
  readonly maxAgeSeconds: number | undefined;
  /** Infinity = soft-deleted. */
  readonly truncateBefore: number | undefined;
}

/** 2^63-1: written by a soft delete. It does not fit a JavaScript number, so it is handled as text. */
export const SOFT_DELETED_METADATA = '{"$tb":9223372036854775807}';
const TRUNCATE_BEFORE = /"\$tb"\s*:\s*\d+/;

/** Undefined when the text is not the JSON of an object: such metadata has no effect. */
export function parseLimits(text: string): StreamLimits | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (parsed === null || typeof parsed !== 'object') return undefined;
  const fields = parsed as Record<string, unknown>;
  const truncateBefore = countOf(fields['$tb']);
  return {
    maxCount: countOf(fields['$maxCount']),
    maxAgeSeconds: countOf(fields['$maxAge']),
    truncateBefore:
      truncateBefore !== undefined && truncateBefore > Number.MAX_SAFE_INTEGER ? Number.POSITIVE_INFINITY : truncateBefore,
  };
}

function countOf(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 ? value : undefined;
}

/** Metadata of a stream that lives again: all as it was, but it begins at `revision`. */
export function revivedMetadata(text: string, revision: number): string {
  return text.replace(TRUNCATE_BEFORE, `"$tb":${revision}`);
}

export const METASTREAM_PREFIX = '$$';
export const METADATA_TYPE = '$metadata';
export const TOMBSTONE_TYPE = '$streamDeleted';

/** The stream that `name` describes, when it is a metastream. */
export function describedStream(name: string): string | undefined {
  return name.startsWith(METASTREAM_PREFIX) ? name.slice(METASTREAM_PREFIX.length) : undefined;
}
