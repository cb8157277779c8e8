interface Node<T> {
  readonly next: Map<string, Node<T>>;
  readonly values: Set<T>;
}

/** Subjects with wildcards, looked up token by token: `*` = one token, `>` = the rest. */
export class SubjectTree<T> {
  private readonly root: Node<T> = { next: new Map(), values: new Set() };

  add(pattern: string, value: T): void {
    this.nodeOf(pattern).values.add(value);
  }

  remove(pattern: string, value: T): void {
    this.nodeOf(pattern).values.delete(value);
  }

  match(subject: string): T[] {
    const found: T[] = [];
    collect({ node: this.root, tokens: subject.split('.'), depth: 0 }, found);
    return found;
  }

  private nodeOf(pattern: string): Node<T> {
    let node = this.root;
    for (const token of pattern.split('.')) {
      const next = node.next.get(token) ?? { next: new Map<string, Node<T>>(), values: new Set<T>() };
      node.next.set(token, next);
      node = next;
    }
    return node;
  }
}

function collect<T>(
  at: { readonly node: Node<T>; readonly tokens: readonly string[]; readonly depth: number },
  found: T[],
): void {
  const { node, tokens, depth } = at;
  const token = tokens[depth];
  if (token === undefined) {
    found.push(...node.values);
    return;
  }
  for (const value of node.next.get('>')?.values ?? []) found.push(value);
  for (const key of [token, '*']) {
    const next = node.next.get(key);
    if (next !== undefined) collect({ node: next, tokens, depth: depth + 1 }, found);
  }
}
