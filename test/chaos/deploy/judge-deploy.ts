import { auditRun } from '@perdure/testing';
import type { LoggedFact } from '../../rig/log';

/** One run that lived when the next version was deployed. */
export interface LiveRun {
  readonly runId: string;
  readonly kind: 'agent' | 'workflow';
  /** By construction: the candidate cannot go on with it as it is. */
  readonly breaks: boolean;
  /** Workflows that an operator pins to the candidate after the check. */
  readonly moved: boolean;
}

/** What `deploy check --json` said. */
export interface CheckSaid {
  readonly total: number;
  readonly checked: number;
  readonly different: readonly { readonly runIds: readonly string[] }[];
}

export interface DeployVerdict {
  readonly failures: number;
  readonly diverged: number;
  readonly named: number;
  readonly violations: readonly string[];
}

/** One machine, one clock: what is early by a millisecond was rounded. */
const CLOCK_SKEW_MS = 2;

/** Holds what the check said before the deployment against what the log says after it. */
export function judgeDeploy({
  live,
  said,
  runs,
}: {
  readonly live: readonly LiveRun[];
  readonly said: CheckSaid;
  readonly runs: ReadonlyMap<string, readonly LoggedFact[]>;
}): DeployVerdict {
  const named = new Set(said.different.flatMap(({ runIds }) => runIds));
  const diverged = new Set(
    live.filter(({ runId }) => (runs.get(runId) ?? []).some(({ type }) => type === 'CodeDiverged')).map(({ runId }) => runId),
  );
  const failures = live.flatMap((run) => wrongEnd(run, runs.get(run.runId) ?? []));
  const violations = [
    ...failures,
    ...(said.total === live.length && said.checked === live.length
      ? []
      : [`coverage: ${said.checked} of ${said.total} were checked, ${live.length} were live`]),
    ...live.filter(({ runId, breaks }) => named.has(runId) !== breaks).map((run) => misjudged(run)),
    ...live
      .filter(({ runId, breaks, moved }) => diverged.has(runId) !== (breaks && moved))
      .map(
        ({ runId, breaks, moved }) =>
          `${runId} (breaks: ${breaks}, moved: ${moved}) ${diverged.has(runId) ? 'diverged' : 'did not diverge'}`,
      ),
    ...[...runs.values()].flatMap((facts) =>
      auditRun(facts, { clockSkewMs: CLOCK_SKEW_MS }).map(({ invariant, message }) => `${invariant}: ${message}`),
    ),
  ];
  return { failures: failures.length, diverged: diverged.size, named: named.size, violations };
}

function misjudged({ runId, kind, breaks }: LiveRun): string {
  return `the check ${breaks ? 'did not name' : 'named'} the ${kind} ${runId}, which ${breaks ? 'breaks' : 'goes on as it does'}`;
}

/** A workflow ends under the build that it is pinned to: the candidate where it could be moved, else its own. */
function wrongEnd({ runId, kind, breaks, moved }: LiveRun, facts: readonly LoggedFact[]): readonly string[] {
  const last = facts.at(-1);
  if (last?.type !== 'RunCompleted') return [`lost: ${kind} ${runId} is at ${last?.type ?? 'nothing'}`];
  if (kind === 'agent') return [];
  const expected = moved && !breaks ? 'v2' : 'v1';
  const { output } = last.data as { readonly output?: unknown };
  return output === expected ? [] : [`lost: ${runId} ended under ${String(output)}, expected ${expected}`];
}
