import type { RunEvent, RunEventOf, RunEventType } from '@perdure/run-contract';
import type { ToolApproval } from './approval.state';
import { rememberCommand } from '../command-memory';
import { impossible, with_ } from '../evolve-calls';
import type { OpenRun, OpenTool } from '../run.state';

/** What the facts of an approval change. */
const TYPES = [
  'ApprovalRequested',
  'ApprovalVoted',
  'ApprovalGranted',
  'ApprovalDenied',
  'ApprovalExpired',
  'ApprovalEscalated',
  'ApprovalRefused',
] as const satisfies readonly RunEventType[];
export type ApprovalEventType = (typeof TYPES)[number];

export function isOfApproval(event: RunEvent): event is RunEventOf<ApprovalEventType> {
  return (TYPES as readonly string[]).includes(event.type);
}

export function evolveApproval(run: OpenRun, event: RunEventOf<ApprovalEventType>): OpenRun {
  switch (event.type) {
    case 'ApprovalRequested':
      return requested(run, event);
    case 'ApprovalVoted':
      return voted(run, event);
    case 'ApprovalGranted':
      return granted(run, event);
    case 'ApprovalDenied':
      return refused(rememberCommand(run, event.data.commandId), event, ['waiting']);
    case 'ApprovalExpired':
      return refused(run, event, ['waiting', 'granted']);
    case 'ApprovalEscalated':
      return escalated(run, event);
    case 'ApprovalRefused':
      return tried(run, event);
  }
}

function requested(run: OpenRun, event: RunEventOf<'ApprovalRequested'>): OpenRun {
  const { call, tool: _, requestedAtMs, name: __, ...asked } = event.data;
  const open = run.calls.get(call);
  if (open?.kind !== 'tool' || open.approval !== undefined) throw impossible(run, event);
  const approval = { ...asked, stage: 'waiting' as const, votes: [], grantId: undefined };
  return replaced(run, { ...open, approval, sinceMs: requestedAtMs });
}

function voted(run: OpenRun, event: RunEventOf<'ApprovalVoted'>): OpenRun {
  const { vote, commandId } = event.data;
  const open = inApproval(run, event, ['waiting']);
  return rememberCommand(changed(run, open, { votes: [...open.approval.votes, vote] }), commandId);
}

/** From here on the arguments are those that the persons have agreed on. */
function granted(run: OpenRun, event: RunEventOf<'ApprovalGranted'>): OpenRun {
  const { grantId, argsHash, expiresAtMs, approvers } = event.data;
  const open = inApproval(run, event, ['waiting']);
  const votes = open.approval.votes.filter(({ statement }) => statement.argsHash === argsHash);
  const approval = { ...open.approval, stage: 'granted' as const, grantId, votes, argsHash, expiresAtMs };
  const edited = 'args' in event.data ? { args: event.data.args, editedBy: approvers } : {};
  const sinceMs = event.atMs ?? open.sinceMs;
  // The time that persons took is not the tool's.
  return replaced(run, { ...open, ...edited, approval, sinceMs, series: { ...open.series, sinceMs } });
}

function refused(
  run: OpenRun,
  event: RunEventOf<'ApprovalDenied' | 'ApprovalExpired'>,
  from: readonly ToolApproval['stage'][],
): OpenRun {
  return changed(run, inApproval(run, event, from), { stage: 'refused' });
}

function escalated(run: OpenRun, event: RunEventOf<'ApprovalEscalated'>): OpenRun {
  const open = inApproval(run, event, ['waiting']);
  const { role } = event.data;
  const { roles, escalations } = open.approval;
  const [, ...left] = escalations;
  return changed(run, open, { roles: roles.includes(role) ? roles : [...roles, role], escalations: left });
}

function tried(run: OpenRun, event: RunEventOf<'ApprovalRefused'>): OpenRun {
  const { commandId, code, message } = event.data;
  return { ...run, refusals: [...run.refusals, { commandId, code, message }] };
}

type InApproval = OpenTool & { readonly approval: ToolApproval };

function inApproval(run: OpenRun, event: RunEventOf<ApprovalEventType>, stages: readonly ToolApproval['stage'][]): InApproval {
  const open = run.calls.get(event.data.call);
  if (open?.kind !== 'tool' || open.approval === undefined || !stages.includes(open.approval.stage)) throw impossible(run, event);
  return { ...open, approval: open.approval };
}

function changed(run: OpenRun, open: InApproval, to: Partial<ToolApproval>): OpenRun {
  return replaced(run, { ...open, approval: { ...open.approval, ...to } });
}

function replaced(run: OpenRun, open: OpenTool): OpenRun {
  return { ...run, calls: with_(run.calls, open.call, open) };
}
