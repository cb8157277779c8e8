import { ofBranch, shownOf } from '@perdure/kernel';
import type { RunEvent, RunEventOf } from '@perdure/run-contract';
import type { ToolManifest } from '@perdure/tenant-contract';
import type { Circumstances, KnownCode } from '../run.commands';
import { isOpen, type OpenRun, type RunState } from '../run.state';

type Asked = RunEventOf<'ApprovalRequested'>['data'];

/** Of a run whose owner did not write down who asked for it. */
const NOBODY_KNOWN = 'unknown';

interface Intended {
  readonly run: OpenRun;
  readonly effect: RunEventOf<'EffectIntended'>['data'];
  readonly manifest: ToolManifest;
}

interface Given {
  readonly at: Circumstances;
  readonly code: KnownCode;
  hash(value: unknown): string;
}

/** What the policies of the tenant, or the tool itself, ask for before an effect may run; in the same append as its intention. */
export function approvalOf({ run, effect, manifest }: Intended, { at, code, hash }: Given): readonly RunEvent[] {
  const { call, tool, args } = effect;
  const known = code.approvalOf?.({ tool, args, isRequired: manifest.approval === 'required' });
  if (known === undefined) return [];
  const { policy, version } = known;
  const requestedBy = run.request.requestedBy ?? NOBODY_KNOWN;
  const { name } = run.request;
  const expiresAtMs = at.nowMs + policy.expiresAfterMs;
  const escalations = policy.escalation
    .map(({ afterMs, role }) => ({ atMs: at.nowMs + afterMs, role }))
    .filter(({ atMs }) => atMs < expiresAtMs);
  return withItsTimers({
    call,
    ...ofBranch(run.branch),
    tool,
    toolVersion: hash(manifest),
    // Never the worker's word for it: what was not made here from the arguments may be the hash of others.
    argsHash: hash(args),
    shownHash: hash(shownOf({ name, call, tool, args, why: policy.name, requestedBy })),
    policy: policy.name,
    policyVersion: version,
    roles: policy.roles,
    quorum: policy.quorum,
    separationOfDuties: policy.separationOfDuties,
    requestedBy,
    name,
    requestedAtMs: at.nowMs,
    expiresAtMs,
    escalations,
  });
}

interface Anew {
  readonly asked: Asked;
  readonly args: unknown;
  /** The run that goes on: its branch, and whoever asked for it. */
  readonly run: RunState;
}

/** Of an effect that is opened again, in a fork or after a rewind: under the policy that asked for it, from the first vote on. */
export function askedAnew(
  { asked, args, run }: Anew,
  { nowMs, hash }: { readonly nowMs: number; hash(value: unknown): string },
): readonly RunEvent[] {
  if (!isOpen(run)) return [];
  const { call, tool, policy: why, branch: _, ...rest } = asked;
  const { name, requestedBy = NOBODY_KNOWN } = run.request;
  const laterMs = nowMs - asked.requestedAtMs;
  return withItsTimers({
    ...rest,
    call,
    ...ofBranch(run.branch),
    tool,
    policy: why,
    argsHash: hash(args),
    shownHash: hash(shownOf({ name, call, tool, args, why, requestedBy })),
    requestedBy,
    name,
    requestedAtMs: nowMs,
    expiresAtMs: asked.expiresAtMs + laterMs,
    escalations: asked.escalations.map(({ atMs, role }) => ({ atMs: atMs + laterMs, role })),
  });
}

function withItsTimers(data: Asked): readonly RunEvent[] {
  const { call, expiresAtMs, escalations } = data;
  return [
    { type: 'ApprovalRequested', data },
    timer(call, { id: 'expiry', purpose: 'approval-expiry', dueAtMs: expiresAtMs }),
    ...escalations.map(({ atMs }, index) =>
      timer(call, { id: String(index + 1), purpose: 'approval-escalation', dueAtMs: atMs }),
    ),
  ];
}

function timer(
  call: string,
  set: Pick<RunEventOf<'TimerSet'>['data'], 'purpose' | 'dueAtMs'> & { readonly id: string },
): RunEvent {
  const { id, purpose, dueAtMs } = set;
  return { type: 'TimerSet', data: { timerId: `approval-${call}-${id}`, purpose, call, dueAtMs } };
}
