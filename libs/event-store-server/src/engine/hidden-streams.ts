/** Before the name of the group: of groups that read the whole log. */
const LOG_GROUPS = '$persistentsubscription-$all::';
export const CHECKPOINT_SUFFIX = '-checkpoint';
export const PARKED_SUFFIX = '-parked';

/** Who reads the whole log does not see how groups that read the whole log come along: each step would make a next one. */
export function isHiddenInLog(stream: string): boolean {
  return stream.startsWith(LOG_GROUPS) && (stream.endsWith(CHECKPOINT_SUFFIX) || stream.endsWith(PARKED_SUFFIX));
}
