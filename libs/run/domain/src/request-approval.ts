import { shownOf } from '@perdure/kernel';
import type { RunEvent, RunEventOf } from '@perdure/run-contract';
import type { ToolManifest } from '@perdure/tenant-contract';
import type { Circumstances, KnownCode } from './run.commands';
import type { OpenRun } from './run.state';

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
  return [
    {
      type: 'ApprovalRequested',
      data: {
        call,
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
      },
    },
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
