const TRUNCATE_BEFORE = /"\$tb"\s*:\s*(\d+)/;
/** 2^63-1, as servers write it; it does not fit a JavaScript number, so that metadata is handled as text. */
const SOFT_DELETED = 9_223_372_036_854_775_807n;

/** The metadata of a stream that was deleted, and may be written again. */
export function isSoftDelete(metadata: Buffer): boolean {
  const revision = TRUNCATE_BEFORE.exec(metadata.toString('utf8'))?.[1];
  return revision !== undefined && BigInt(revision) >= SOFT_DELETED;
}

/** The same metadata, but nothing before `revision` is visible. All other bytes stay as they are. */
export function hidingBefore(metadata: Buffer, revision: number): Buffer {
  const text = metadata.toString('utf8');
  const found = TRUNCATE_BEFORE.exec(text)?.[1];
  if (found !== undefined) {
    return BigInt(found) >= BigInt(revision) ? metadata : Buffer.from(text.replace(TRUNCATE_BEFORE, `"$tb":${revision}`), 'utf8');
  }
  const fields = /^\s*\{\s*(\}?)/.exec(text);
  if (fields === null) return Buffer.from(`{"$tb":${revision}}`, 'utf8');
  const rest = text.slice(fields[0].length);
  return Buffer.from(fields[1] === '}' ? `{"$tb":${revision}}` : `{"$tb":${revision},${rest}`, 'utf8');
}
