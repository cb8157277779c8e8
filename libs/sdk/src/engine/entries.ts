import type { ErrorRecord } from '@perdure/kernel';
import type { Divergence } from '@perdure/run-contract';

/**
 * Entries of a report as JSON text. A result is written once, where it arises, and from then on only copied;
 * a spec holds every entry against the contract.
 */

const quote = JSON.stringify as (text: string) => string;

export function stepEntry(call: string, name: string, outcome: string): string {
  return `{"type":"step","call":${quote(call)},"name":${quote(name)},"outcome":${outcome}}`;
}

export function valueEntry(call: string, name: string, value: string | number): string {
  return `{"type":"value","call":${quote(call)},"name":"${name}","value":${JSON.stringify(value)}}`;
}

export function deliveredEntry(call: string, revision: number): string {
  return `{"type":"delivered","call":${quote(call)},"revision":${revision}}`;
}

export function effectIntendedEntry(intended: { call: string; tool: string; args: string; argsHash: string }): string {
  const { call, tool, args, argsHash } = intended;
  return `{"type":"effect-intended","call":${quote(call)},"tool":${quote(tool)},"args":${args},"argsHash":"${argsHash}"}`;
}

/** `outcome` is JSON text already. */
export function effectResultEntry(
  call: string,
  attempt: number,
  { outcome, asks = false }: { readonly outcome: string; readonly asks?: boolean },
): string {
  return `{"type":"effect-result","call":${quote(call)},"attempt":${attempt},"outcome":${outcome}${asks ? ',"asks":true' : ''}}`;
}

export function undoRegisteredEntry(registered: { call: string; tool: string; args: string; argsHash: string }): string {
  const { call, tool, args, argsHash } = registered;
  return `{"type":"undo-registered","call":${quote(call)},"tool":${quote(tool)},"args":${args},"argsHash":"${argsHash}"}`;
}

interface OfExecution {
  readonly call: string;
  readonly attempt: number;
  readonly executionId: string;
}

const executionFields = ({ call, attempt, executionId }: OfExecution): string =>
  `"call":${quote(call)},"attempt":${attempt},"executionId":${quote(executionId)}`;

export function effectClaimedEntry(of: OfExecution, grantId?: string): string {
  return `{"type":"effect-claimed",${executionFields(of)}${grantId === undefined ? '' : `,"grantId":${quote(grantId)}`}}`;
}

export function effectNotStartedEntry(of: OfExecution): string {
  return `{"type":"effect-not-started",${executionFields(of)}}`;
}

/** `detail` is JSON text already. */
export function effectProgressedEntry(call: string, attempt: number, detail: string): string {
  return `{"type":"effect-progressed","call":${quote(call)},"attempt":${attempt},"detail":${detail}}`;
}

export function effectUnknownEntry(of: OfExecution & { readonly because: string; readonly error: ErrorRecord }): string {
  return `{"type":"effect-unknown",${executionFields(of)},"because":"${of.because}","error":${JSON.stringify(of.error)}}`;
}

/** `found` is JSON text already. */
export function probeResultEntry(of: OfExecution & { readonly probe: number; readonly found: string }): string {
  return `{"type":"probe-result",${executionFields(of)},"probe":${of.probe},"found":${of.found}}`;
}

export function modelIntendedEntry(call: string, model: string, promptHash: string): string {
  return `{"type":"model-intended","call":${quote(call)},"model":${quote(model)},"promptHash":"${promptHash}"}`;
}

/** `outcome` holds the decision as its value. */
export function modelResultEntry(call: string, attempt: number, outcome: string): string {
  const result = outcome.startsWith('{"ok":true,"value":') ? `{"ok":true,"decision":${outcome.slice(19)}` : outcome;
  return `{"type":"model-result","call":${quote(call)},"attempt":${attempt},"result":${result}}`;
}

export function timerSetEntry(call: string, delayMs: number): string {
  return `{"type":"timer-set","call":${quote(call)},"delayMs":${delayMs}}`;
}

export function timerDueEntry(call: string, dueAtMs: number): string {
  return `{"type":"timer-set","call":${quote(call)},"dueAtMs":${dueAtMs}}`;
}

export function signalAwaitedEntry(call: string, name: string, timeoutMs: number | undefined): string {
  const limit = timeoutMs === undefined ? '' : `,"timeoutMs":${timeoutMs}`;
  return `{"type":"signal-awaited","call":${quote(call)},"name":"${name}"${limit}}`;
}

/** `terms` are JSON text already. */
export function taskAskedEntry(call: string, terms: string): string {
  return `{"type":"task-asked","call":${quote(call)},${terms.slice(1)}`;
}

/** `payload` is JSON text already. */
export function messageSentEntry(
  call: string,
  { to, name, payload }: { readonly to: string; readonly name: string; readonly payload: string },
): string {
  return `{"type":"message-sent","call":${quote(call)},"to":${quote(to)},"name":${quote(name)},"payload":${payload}}`;
}

/** `input` and `options` are JSON text already. */
export function childRequestedEntry(
  call: string,
  name: string,
  order: { readonly input: string; readonly options: string },
): string {
  const options = order.options === '{}' ? '' : `,${order.options.slice(1, -1)}`;
  return `{"type":"child-requested","call":${quote(call)},"name":${quote(name)},"input":${order.input}${options}}`;
}

export const SUSPENDED_ENTRY = '{"type":"suspended"}';
export const HANDED_OVER_ENTRY = '{"type":"handed-over"}';
export const CANCELLED_ENTRY = '{"type":"cancelled"}';

export function divergedEntry(divergence: Divergence): string {
  return `{"type":"diverged","divergence":${JSON.stringify(divergence)}}`;
}

export function completedEntry(output: string): string {
  return `{"type":"completed","output":${output}}`;
}

export function continuedEntry(input: string): string {
  return `{"type":"continued","input":${input}}`;
}

export function failedEntry(error: string): string {
  return `{"type":"failed","error":${error}}`;
}
