/**
 * Effects that must not be doubled: each execution is claimed at the owner of the run before it begins. What declares
 * nothing, or a class that is not known here, counts as one.
 */
export function mustBeClaimed(effectClass: string): boolean {
  return effectClass !== 'pure' && effectClass !== 'idempotent';
}
