import { signingKeyOf } from '@perdure/platform-host-node';

/** Of every story the same: what is signed must not depend on chance that others draw. */
export const SIGNER = signingKeyOf(Buffer.alloc(32, 7));
