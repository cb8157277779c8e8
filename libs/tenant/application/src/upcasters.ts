import { upcasterOf } from '@perdure/kernel';
import { tenantEventSchemas } from '@perdure/tenant-contract';

/** The version that this build writes: see the upcasters of runs. */
export const SCHEMA_VERSION = 1;

const upcast = upcasterOf<keyof typeof tenantEventSchemas>({ present: SCHEMA_VERSION, steps: {} });

/** What is stored of a registration, as if it had been written today. @throws InvariantViolated, or a ZodError */
export function readRegistration({ data, metadata }: { readonly data: unknown; readonly metadata: unknown }) {
  // The first registrations carried their version, as all do.
  const { schemaVersion = SCHEMA_VERSION } = (metadata ?? {}) as { readonly schemaVersion?: number };
  return tenantEventSchemas.BuildRegistered.parse(upcast('BuildRegistered', schemaVersion, data));
}
