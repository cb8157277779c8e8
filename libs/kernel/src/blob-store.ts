import { Retryable } from './errors';

/** The disk is full or does not answer: nothing of what was asked is known to have happened. */
export class PayloadsUnavailable extends Retryable {
  constructor(cause: unknown) {
    super('PayloadsUnavailable', `Payloads, or the keys that seal them, cannot be reached at the moment: ${String(cause)}.`, {
      cause,
    });
  }
}

/** Content-addressed storage of payloads that are too large for an event. Each of its methods may throw PayloadsUnavailable. */
export interface BlobStore {
  /**
   * Durable before it resolves. Storing the same content twice is harmless.
   * @returns the reference: a keyed hash of tenant and content
   */
  put(tenant: string, content: string): Promise<string>;
  /** Undefined when it does not exist (never stored, or erased). */
  get(tenant: string, reference: string): Promise<string | undefined>;
  delete(tenant: string, reference: string): Promise<void>;
}

/**
 * Data keys for sealing, one a run, kept outside the log. Deleting one erases what it sealed.
 * Each of its methods may throw PayloadsUnavailable.
 */
export interface KeyRing {
  create(tenant: string, keyId: string): Promise<void>;
  /** Undefined when it was erased. */
  seal(tenant: string, keyId: string, plain: string): Promise<string | undefined>;
  open(tenant: string, keyId: string, sealed: string): Promise<string | undefined>;
  erase(tenant: string, keyId: string): Promise<void>;
}
