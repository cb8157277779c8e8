import { errorRecordOf, fitsInto, utf8Bytes, type ErrorRecord } from '@perdure/kernel';
import {
  commandEnvelope,
  PAYLOAD_BYTES_MAX,
  REQUEST_BYTES_MAX,
  SIGNAL_BYTES_MAX,
  type Answer,
  type CommandEnvelope,
} from '@perdure/run-contract';

/** The border: text in, a command or the reason why it is none. */
export type ParsedRequest = { readonly envelope: CommandEnvelope } | { readonly error: ErrorRecord };

const ISSUES_SHOWN = 5;

export function parseRequest(text: string): ParsedRequest {
  if (!fitsInto(REQUEST_BYTES_MAX, text)) return { error: tooLarge('The request', utf8Bytes(text), REQUEST_BYTES_MAX) };
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return malformed(`The request is not JSON: ${errorRecordOf(error).message}`);
  }
  const version = (json as { v?: unknown } | null)?.v;
  if (version !== 1) {
    const message = `Envelope version ${JSON.stringify(version)} is not known; this service speaks version 1.`;
    return { error: { code: 'UnsupportedVersion', message, reaction: 'terminal' } };
  }
  const parsed = commandEnvelope.safeParse(json);
  if (!parsed.success) {
    const issues = parsed.error.issues.slice(0, ISSUES_SHOWN).map((issue) => `${issue.path.join('.')}: ${issue.message}`);
    return malformed(`The request does not have its shape: ${issues.join('; ')}`);
  }
  const large = fitsInto(SIGNAL_BYTES_MAX, text) ? undefined : oversizePayload(parsed.data, text);
  return large === undefined ? { envelope: parsed.data } : { error: large };
}

/** Only called for long requests: each payload in it is measured by itself. */
function oversizePayload({ command }: CommandEnvelope, text: string): ErrorRecord | undefined {
  if (command.type === 'SignalRun') return measured('The signal', command.payload, SIGNAL_BYTES_MAX);
  if (fitsInto(PAYLOAD_BYTES_MAX, text)) return undefined;
  if (command.type === 'StartRun') return measured('The input', command.input);
  if (command.type === 'ReportEffect') return measured('The result', command.entry);
  if (command.type !== 'RecordProgress') return tooLarge('The request', utf8Bytes(text), PAYLOAD_BYTES_MAX);
  for (const entry of command.entries) {
    const large = measured(`The entry ${entry.type}`, entry);
    if (large !== undefined) return large;
  }
  return undefined;
}

function measured(what: string, value: unknown, bytesMax = PAYLOAD_BYTES_MAX): ErrorRecord | undefined {
  const text = JSON.stringify(value) ?? '';
  return fitsInto(bytesMax, text) ? undefined : tooLarge(what, utf8Bytes(text), bytesMax);
}

function tooLarge(what: string, bytes: number, bytesMax: number): ErrorRecord {
  const message = `${what} has ${bytes} bytes; the limit is ${bytesMax}. Store large data elsewhere and pass a reference.`;
  return { code: 'PayloadTooLarge', message, reaction: 'terminal', details: { bytes, bytesMax } };
}

function malformed(message: string): { readonly error: ErrorRecord } {
  return { error: { code: 'MalformedRequest', message, reaction: 'terminal' } };
}

export function accepted(value: unknown): Answer {
  return { ok: true, value };
}

export function refused(error: ErrorRecord): Answer {
  return { ok: false, error: { ...error } };
}
