import { InvariantViolated } from './errors';

/** Brings data of one version to the shape of the next. Pure; it may rename, split and fill in, and never looks elsewhere. */
export type Upcaster = (data: unknown) => unknown;

/** Every shape that a family of events ever had, from the first version to the present one. */
export interface ShapeHistory<T extends string> {
  /** The version that is written now. */
  readonly present: number;
  /** By type, and by the version that the step reads: what brings it to the next one. No step = the shape did not change. */
  readonly steps: Partial<Readonly<Record<T, Readonly<Record<number, Upcaster>>>>>;
}

/**
 * Reads stored data as if it had been written today: what was ever written stays readable.
 * @throws InvariantViolated when a later version wrote it
 */
export function upcasterOf<T extends string>({ present, steps }: ShapeHistory<T>) {
  return (type: T, version: number, data: unknown): unknown => {
    if (version > present) {
      throw new InvariantViolated(
        `${type} was written in schema version ${version}; this build reads up to ${present}. Upgrade it.`,
      );
    }
    let value = data;
    for (let from = version; from < present; from += 1) value = steps[type]?.[from]?.(value) ?? value;
    return value;
  };
}
