import { errorRecordOf, fitsInto, Terminal, utf8Bytes } from '@perdure/kernel';
import { scheduleEnvelope, SPEC_BYTES_MAX, type ScheduleEnvelope } from '@perdure/schedule-contract';

const ISSUES_SHOWN = 5;
/** A specification and what is said around it. */
const REQUEST_BYTES_MAX = SPEC_BYTES_MAX + 4_096;

interface Shape<T> {
  safeParse(value: unknown):
    | { readonly success: true; readonly data: T }
    | {
        readonly success: false;
        readonly error: { readonly issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[] };
      };
}

/** The border: text in, a command out. @throws Terminal `PayloadTooLarge`, `UnsupportedVersion`, `MalformedRequest` */
export function parseRequest(text: string): ScheduleEnvelope {
  return parseWith(scheduleEnvelope, text);
}

/** Another request of the same border. @throws as `parseRequest` */
export function parseWith<T>(schema: Shape<T>, text: string): T {
  if (!fitsInto(REQUEST_BYTES_MAX, text))
    throw new Terminal(
      'PayloadTooLarge',
      `The request has ${utf8Bytes(text)} bytes; a schedule has ${SPEC_BYTES_MAX} at the most. Store a large input elsewhere and pass a reference.`,
    );
  const json = jsonOf(text);
  const version = (json as { readonly v?: unknown } | null)?.v;
  if (version !== 1)
    throw new Terminal(
      'UnsupportedVersion',
      `Envelope version ${JSON.stringify(version)} is not known; this service speaks version 1.`,
    );
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.slice(0, ISSUES_SHOWN).map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new Terminal('MalformedRequest', `The request does not have its shape: ${issues.join('; ')}`);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Terminal('MalformedRequest', `The request is not JSON: ${errorRecordOf(error).message}`);
  }
}
