/** What the receiver of an error should do. */
export type Reaction = 'terminal' | 'retryable' | 'cancelled' | 'suspended';

export interface ErrorDetails {
  readonly [field: string]: unknown;
}

/** The form in which an error crosses the wire and enters the log. */
export interface ErrorRecord {
  readonly code: string;
  readonly message: string;
  readonly reaction: Reaction;
  readonly retryAfterMs?: number | undefined;
  readonly details?: ErrorDetails | undefined;
}

export interface PerdureErrorOptions {
  readonly cause?: unknown;
  readonly details?: ErrorDetails;
  readonly retryAfterMs?: number;
}

/**
 * The one base class. `name` equals `code`; the message says what to do.
 * @throws never by itself: subclasses name the reaction they ask for.
 */
export class PerdureError extends Error {
  readonly details: ErrorDetails;
  readonly retryAfterMs: number | undefined;

  constructor(
    readonly code: string,
    readonly reaction: Reaction,
    message: string,
    options: PerdureErrorOptions = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = code;
    this.details = options.details ?? {};
    this.retryAfterMs = options.retryAfterMs;
  }

  toRecord(): ErrorRecord {
    return {
      code: this.code,
      message: this.message,
      reaction: this.reaction,
      ...(this.retryAfterMs === undefined ? {} : { retryAfterMs: this.retryAfterMs }),
      ...(Object.keys(this.details).length === 0 ? {} : { details: this.details }),
    };
  }

  static fromRecord(record: ErrorRecord): PerdureError {
    const { code, reaction, message, retryAfterMs, details } = record;
    return new PerdureError(code, reaction, message, {
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      ...(details === undefined ? {} : { details }),
    });
  }
}

/** Trying again with the same input cannot help. */
export class Terminal extends PerdureError {
  constructor(code: string, message: string, options?: PerdureErrorOptions) {
    super(code, 'terminal', message, options);
  }
}

/** Nothing is wrong with the request: try again, not before `retryAfterMs`. */
export class Retryable extends PerdureError {
  constructor(code: string, message: string, options?: PerdureErrorOptions) {
    super(code, 'retryable', message, options);
  }
}

/** The caller or the run withdrew the request. */
export class Cancelled extends PerdureError {
  constructor(code: string, message: string, options?: PerdureErrorOptions) {
    super(code, 'cancelled', message, options);
  }
}

/** A history that cannot have been written by this product, or a bug: quarantine, never shrug. */
export class InvariantViolated extends Terminal {
  constructor(message: string, details?: ErrorDetails) {
    super('InvariantViolated', message, details === undefined ? {} : { details });
  }
}

/**
 * Any thrown value as an error record; a thrown string or object loses nothing.
 * What is not one of ours counts as `terminal` unless the caller knows better.
 */
export function errorRecordOf(thrown: unknown, reaction: Reaction = 'terminal'): ErrorRecord {
  if (thrown instanceof PerdureError) return thrown.toRecord();
  if (thrown instanceof Error) return { code: thrown.name, message: thrown.message, reaction };
  const message = typeof thrown === 'string' ? thrown : safeText(thrown);
  return { code: 'NonErrorThrown', message, reaction };
}

function safeText(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}
