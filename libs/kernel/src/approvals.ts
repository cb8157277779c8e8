import { canonicalJson } from './json';

/**
 * What signatures of approvals are made over: owner, signer and executing worker each build these texts by themselves, and must
 * come to the same one.
 */

/** The kinds of text that are signed; the kind is part of the text, so that none can be passed off as another. */
export type SignedKind = 'vote' | 'ballot' | 'refusal' | 'change';

export function signedText(kind: SignedKind, statement: unknown): string {
  return `perdure-${kind}-v1\n${canonicalJson(statement)}`;
}

/** An effect as it is shown to whoever decides on it: the hash of this is signed. */
export interface ShownEffect {
  /** Name of the agent or workflow. */
  readonly name: string;
  readonly call: string;
  readonly tool: string;
  readonly args: unknown;
  /** Name of the policy that asks for the approval. */
  readonly why: string;
  readonly requestedBy: string;
}

/** Exactly these fields, in whatever order they came. */
export function shownOf({ name, call, tool, args, why, requestedBy }: ShownEffect): ShownEffect {
  return { name, call, tool, args, why, requestedBy };
}

/** The branch of a run as it is written down: how often it was rewound, left out where it is 0. */
export function ofBranch(branch: number): { readonly branch?: number } {
  return branch === 0 ? {} : { branch };
}
