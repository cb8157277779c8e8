import { PAYLOAD_PATHS, type RunEventType } from '@perdure/run-contract';

/** A place in an event's data that holds a payload: a parent object and the key in it. */
export interface PayloadPlace {
  readonly at: string;
  readonly parent: Record<string, unknown>;
  readonly key: string;
}

/** The payload places that an event of this type and shape has; those that are absent are left out. */
export function payloadPlaces(type: RunEventType, data: unknown): PayloadPlace[] {
  const places: PayloadPlace[] = [];
  for (const path of PAYLOAD_PATHS[type] ?? []) collect({ at: '', value: data }, path.split('.'), places);
  return places;
}

/** The place that `at` names, as written by `payloadPlaces`. */
export function placeAt(data: unknown, at: string): PayloadPlace | undefined {
  const keys = at.split('.');
  const key = keys.pop() as string;
  let parent: unknown = data;
  for (const step of keys) parent = isRecord(parent) ? parent[step] : undefined;
  return isRecord(parent) ? { at, parent, key } : undefined;
}

function collect(from: { at: string; value: unknown }, steps: readonly string[], places: PayloadPlace[]): void {
  const [step, ...rest] = steps;
  if (step === undefined || !isRecord(from.value)) return;
  const keys = step === '*' ? Object.keys(from.value) : [step];
  for (const key of keys) {
    const value = from.value[key];
    if (value === undefined) continue;
    const at = from.at === '' ? key : `${from.at}.${key}`;
    if (rest.length === 0) places.push({ at, parent: from.value, key });
    else collect({ at, value }, rest, places);
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
