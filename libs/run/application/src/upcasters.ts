import { upcasterOf } from '@perdure/kernel';
import type { RunEventType } from '@perdure/run-contract';

/**
 * The version that this build writes. It rises by one with each change of a shape that optional fields cannot express; the change
 * comes with its step below and with a golden sample of the new version beside the old ones.
 */
export const SCHEMA_VERSION = 1;

/** Brings stored data to the present version of its shape. */
export const upcast = upcasterOf<RunEventType>({ present: SCHEMA_VERSION, steps: {} });
