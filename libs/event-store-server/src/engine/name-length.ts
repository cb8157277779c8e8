import { TEXT_BYTES_MAX } from '../store/record';
import { METASTREAM_PREFIX } from './stream-limits';

/** A metastream is named after its stream, with a prefix: the longest name leaves room for it. */
export const NAME_BYTES_MAX = TEXT_BYTES_MAX - METASTREAM_PREFIX.length;
/** Of one UTF-16 unit: most names need not be measured. */
const UTF8_BYTES_MAX = 3;

export function isTooLong(name: string): boolean {
  if (name.length * UTF8_BYTES_MAX <= NAME_BYTES_MAX) return false;
  return Buffer.byteLength(name, 'utf8') > (name.startsWith(METASTREAM_PREFIX) ? TEXT_BYTES_MAX : NAME_BYTES_MAX);
}

/** Why no stream can have this name; undefined when one can. */
export function nameFault(name: string): string | undefined {
  if (name === '') return 'The stream name is missing.';
  if (name === METASTREAM_PREFIX) return `A stream cannot be named ${METASTREAM_PREFIX}: that would be the metadata of none.`;
  return isTooLong(name) ? `The name of a stream has at most ${NAME_BYTES_MAX} bytes.` : undefined;
}
