import { partitionOf, token } from '@perdure/kernel';

/** `*` stands for one token, `>` at the end for one or more. */
export function matches(pattern: string, subject: string): boolean {
  const wanted = pattern.split('.');
  const found = subject.split('.');
  const isOpen = wanted.at(-1) === '>';
  if (isOpen ? found.length < wanted.length : found.length !== wanted.length) return false;
  return wanted.every((part, index) => part === '*' || part === '>' || part === found[index]);
}

/** What the real broker's mapping does: `perdure.req.<tenant>.<context>.<id>` gains the partition of its id. */
export function mapped(subject: string): string {
  const [root, kind, tenant, context, id, ...rest] = subject.split('.');
  if (root !== 'perdure' || (kind !== 'req' && kind !== 'cmd') || id === undefined || rest.length > 0) return subject;
  return `perdure.part.${partitionOf(token(id, 'id'))}.${kind}.${tenant}.${context}.${id}`;
}
