import { TooManyLogins, Unauthenticated } from '../access/authenticator';
import { type Caller, UNRESTRICTED } from '../access/caller';
import { type KnownAcls, type Need, isAllowed } from '../access/decide-access';
import type { MayRead } from '../engine/links';
import type { StoreMetrics } from '../status/store-metrics';
import type { BatchError } from '../wire/responses';
import { Code, GrpcError } from './grpc-status';

/** What methods ask before they decide anything. */
export class Authorization {
  constructor(
    private readonly acls: KnownAcls,
    private readonly metrics: Pick<StoreMetrics, 'refused'>,
  ) {}

  /**
   * Administrators only, unless another need is named.
   * @throws GrpcError that the official client turns into AccessDeniedError
   */
  authorize(call: { readonly caller: Caller }, need: Need = { action: 'administer' }): void {
    if (!this.allows(call.caller, need)) throw this.denied(call.caller);
  }

  /** Before anything of a call is read: whoever has no credentials must not cost memory. */
  requireLogin({ caller }: { readonly caller: Caller }): void {
    if (caller !== UNRESTRICTED && caller.login === undefined) throw this.denied(caller);
  }

  allows(caller: Caller, need: Need): boolean {
    return isAllowed(caller, need, this.acls);
  }

  /** Undefined for who may read everything: nothing has to be asked then. */
  readerOf({ caller }: { readonly caller: Caller }): MayRead | undefined {
    if (caller === UNRESTRICTED) return undefined;
    return (stream) => this.allows(caller, { action: 'read', stream });
  }

  private denied({ login }: Caller): GrpcError {
    this.metrics.refused('access-denied');
    const message = login === undefined ? NEEDS_CREDENTIALS : 'Access Denied.';
    return new GrpcError(Code.permissionDenied, message, { exception: 'access-denied' });
  }
}

const NEEDS_CREDENTIALS =
  'Access Denied. This server wants a login and a password; the official client sends them over TLS only (tls=true).';

export const BATCH_ACCESS_DENIED: BatchError = { code: Code.permissionDenied, message: 'Access Denied.', detail: 'AccessDenied' };

/** Why a caller was not let in, as a call ends with it. */
export function gateError(error: unknown): unknown {
  if (error instanceof Unauthenticated) return new GrpcError(Code.unauthenticated, error.message);
  if (error instanceof TooManyLogins) return new GrpcError(Code.resourceExhausted, error.message);
  return error;
}
