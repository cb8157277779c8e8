/** The codes of gRPC that this server answers. */
export const Code = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
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

/** Header values are ASCII; everything else is escaped as in a URL. */
export function headerText(text: string): string {
  return text.replace(/[^\x20-\x7e]/gu, (character) => encodeURIComponent(character));
}

/** The encoding of `grpc-message`: percent signs, too. */
export function messageText(text: string): string {
  return headerText(text.replaceAll('%', '%25'));
}
