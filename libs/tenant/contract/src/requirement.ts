import { canonicalJson } from '@perdure/kernel';
import { DEFAULT_POLICY, type ApprovalPolicy, type ArgumentPredicate, type KnownPolicy, type TenantApprovals } from './approvals';

/**
 * Which policy an effect comes under. Owner and signer each ask this of the log by themselves.
 * 1. What cannot be compared is looked at by a person: a condition that makes no sense for the arguments holds.
 * 2. Of several policies that apply the strictest counts: most persons, then the shortest time, then the first by name.
 */
export interface EffectInQuestion {
  readonly tool: string;
  readonly args: unknown;
  /** The tool asks for an approval by itself. */
  readonly isRequired: boolean;
}

/** Version 0: no fact has set it. */
const BY_DEFAULT: KnownPolicy = { policy: DEFAULT_POLICY, version: 0 };

export function requirementOf(
  { policies }: Pick<TenantApprovals, 'policies'>,
  effect: EffectInQuestion,
): KnownPolicy | undefined {
  const [strictest] = [...policies.values()].filter(({ policy }) => applies(policy, effect)).sort(byStrictness);
  return strictest ?? (effect.isRequired ? BY_DEFAULT : undefined);
}

function applies({ tools, when }: ApprovalPolicy, { tool, args }: EffectInQuestion): boolean {
  return (tools.includes(tool) || tools.includes('*')) && when.every((predicate) => holds(predicate, args));
}

function byStrictness({ policy: left }: KnownPolicy, { policy: right }: KnownPolicy): number {
  return right.quorum - left.quorum || left.expiresAfterMs - right.expiresAfterMs || (left.name < right.name ? -1 : 1);
}

export function holds({ path, op, value }: ArgumentPredicate, args: unknown): boolean {
  const found = valuesAt(args, path.split('.'));
  if (op === 'exists') return found.length > 0 === (value !== false);
  // The tool may put a value of its own there.
  return found.length === 0 || found.some((actual) => compares(actual, op, value));
}

function compares(actual: unknown, op: Exclude<ArgumentPredicate['op'], 'exists'>, value: unknown): boolean {
  switch (op) {
    case 'eq':
      return isEqual(actual, value) || isOfAnotherKind(actual, value);
    case 'ne':
      return !isEqual(actual, value);
    case 'in':
      return !Array.isArray(value) || value.some((each) => isEqual(actual, each) || isOfAnotherKind(actual, each));
    case 'lt':
    case 'lte':
    case 'gt':
    case 'gte':
      return typeof actual !== 'number' || typeof value !== 'number' || isBeyond(op, actual, value);
  }
}

function isBeyond(op: 'lt' | 'lte' | 'gt' | 'gte', actual: number, bound: number): boolean {
  if (op === 'lt') return actual < bound;
  if (op === 'lte') return actual <= bound;
  return op === 'gt' ? actual > bound : actual >= bound;
}

function isEqual(left: unknown, right: unknown): boolean {
  return canonicalJson(left) === canonicalJson(right);
}

/** A tool may take a number for a text, or a list for a value. */
function isOfAnotherKind(actual: unknown, value: unknown): boolean {
  return typeof actual !== typeof value || Array.isArray(actual) !== Array.isArray(value);
}

function valuesAt(value: unknown, [step, ...rest]: readonly string[]): readonly unknown[] {
  if (step === undefined) return [value];
  if (value === null || typeof value !== 'object') return [];
  if (step === '*') return Object.values(value).flatMap((each) => valuesAt(each, rest));
  return Object.hasOwn(value, step) ? valuesAt((value as Record<string, unknown>)[step], rest) : [];
}
