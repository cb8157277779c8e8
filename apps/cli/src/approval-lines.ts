import { clip, pc } from './paint';

const ARGS_SHOWN = 60;

type Data = Readonly<Record<string, unknown>>;

const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value ?? ''));

/** The facts of an approval as a person reads them. `what`: the effect that it is about. */
export function approvalLine(
  type: string,
  data: Data,
  what: string,
): readonly [string, (text: string) => string, string] | undefined {
  const reason = data.reason === undefined ? '' : `: ${text(data.reason)}`;
  switch (type) {
    case 'ApprovalRequested':
      return ['?', pc.magenta, `${what} needs an approval by ${names(data.roles)} (policy ${text(data.policy)})`];
    case 'ApprovalVoted':
      return ['!', pc.green, `${what}: ${approverOf(data)} agrees${instead(data)}${reason}`];
    case 'ApprovalGranted':
      return ['!', pc.green, `${what} is approved by ${names(data.approvers)}${instead(data)}`];
    case 'ApprovalDenied':
      return ['✗', pc.red, `${what} is denied by ${approverOf(data)}${reason}`];
    case 'ApprovalExpired':
      return ['✗', pc.red, `${what}: the time to approve of it is over`];
    case 'ApprovalEscalated':
      return ['?', pc.yellow, `${what}: ${text(data.role)} may decide, too`];
    case 'ApprovalRefused':
      return ['⊘', pc.red, `${what}: refused to ${text(data.by)}: ${text(data.code)}: ${text(data.message)}`];
    default:
      return undefined;
  }
}

/** Arguments of the persons, in the place of those that were intended. */
function instead(data: Data): string {
  return 'args' in data ? `, but with ${clip(JSON.stringify(data.args), ARGS_SHOWN)}` : '';
}

function names(value: unknown): string {
  return Array.isArray(value) ? value.join(', ') : '';
}

function approverOf({ vote }: Data): string {
  return (vote as { readonly statement?: { readonly approver?: string } } | undefined)?.statement?.approver ?? 'somebody';
}
