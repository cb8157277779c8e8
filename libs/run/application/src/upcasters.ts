import { InvariantViolated } from '@perdure/kernel';
import type { RunEventType } from '@perdure/run-contract';

/** The version that this build writes. */
export const SCHEMA_VERSION = 1;

type Upcaster = (data: unknown) => unknown;

/** For each event type: from version n (at index n - 1) to version n + 1. A shape that was ever written stays readable. */
const UPCASTERS: Partial<Record<RunEventType, readonly Upcaster[]>> = {};

/** Brings stored data to the present version of its shape. */
export function upcast(type: RunEventType, version: number, data: unknown): unknown {
  if (version > SCHEMA_VERSION) {
    throw new InvariantViolated(
      `${type} was written in schema version ${version}; this build reads up to ${SCHEMA_VERSION}. Upgrade it.`,
    );
  }
  return (UPCASTERS[type] ?? []).slice(version - 1).reduce((value, step) => step(value), data);
}
