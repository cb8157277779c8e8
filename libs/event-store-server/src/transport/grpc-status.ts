/** The codes of gRPC that this server answers. */
export const Code = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;

/** How a call ends when it does not end well. Trailers are what the official client reads. */
export class GrpcError extends Error {
  constructor(
    readonly code: number,
    message: string,
    readonly trailers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.name = 'GrpcError';
  }
}

/** Clients accept headers of 8 to 64 KiB in all; a stream name may be as long by itself. */
const HEADER_TEXT_CHARS_MAX = 2_000;

/** Header values are ASCII; everything else is escaped as in a URL, and what is too long is cut. */
export function headerText(text: string): string {
  return escaped(text, /[^\x20-\x7e]/g);
}

/** The encoding of `grpc-message`: percent signs, too. */
export function messageText(text: string): string {
  return escaped(text, /[^\x20-\x24\x26-\x7e]/g);
}

function escaped(text: string, special: RegExp): string {
  // By bytes: half of a surrogate pair has no escape of its own.
  const whole = Buffer.from(text.slice(0, HEADER_TEXT_CHARS_MAX), 'utf8').toString('latin1');
  const escapes = whole.replace(special, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
  const isCut = text.length > HEADER_TEXT_CHARS_MAX || escapes.length > HEADER_TEXT_CHARS_MAX;
  return isCut ? `${escapes.slice(0, HEADER_TEXT_CHARS_MAX).replace(/%.?$/, '')}...` : escapes;
}
