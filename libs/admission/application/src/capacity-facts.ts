import type { CapacityChange, CapacityFact } from '@perdure/admission-domain';
import { InvariantViolated } from '@perdure/kernel';
import { TERMINAL_EVENT_TYPES, runEventSchemas, runStream } from '@perdure/run-contract';

const requested = runEventSchemas.RunRequested.pick({ pool: true, name: true, kind: true, requestedAtMs: true });
const assigned = runEventSchemas.RunAssigned.pick({ workerId: true, sessionId: true, buildId: true });
const woken = runEventSchemas.RunWoken;
const repinned = runEventSchemas.RunRepinned.pick({ buildId: true });

const READERS: Readonly<Record<string, (data: unknown) => CapacityChange>> = {
  RunRequested: (data) => {
    const { pool, name, kind, requestedAtMs } = requested.parse(data);
    return { type: 'requested', pool, name, pins: kind === 'workflow', atMs: requestedAtMs };
  },
  RunWoken: (data) => ({ type: 'asked-again', preferredWorkerId: woken.parse(data).preferredWorkerId }),
  RunResumed: () => ({ type: 'asked-again', preferredWorkerId: undefined }),
  RunAssigned: (data) => ({ type: 'assigned', ...assigned.parse(data) }),
  ActivationLost: () => ({ type: 'unplaced' }),
  RunSuspended: () => ({ type: 'let-go' }),
  RunEnding: () => ({ type: 'let-go' }),
  RunQuarantined: () => ({ type: 'let-go' }),
  RunPaused: () => ({ type: 'let-go' }),
  CodeDiverged: () => ({ type: 'let-go', unpins: true }),
  RunRepinned: (data) => ({ type: 'repinned', ...repinned.parse(data) }),
  ...Object.fromEntries(TERMINAL_EVENT_TYPES.map((type) => [type, () => ({ type: 'ended' }) as const])),
};

/** Types of the facts of a run that say something about capacity. */
export const CAPACITY_EVENT_TYPES: readonly string[] = Object.keys(READERS);

/** @throws InvariantViolated, or a ZodError, when the fact is none that this product writes */
export function capacityFact(event: {
  readonly type: string;
  readonly stream: string;
  readonly revision: number;
  readonly data: unknown;
}): CapacityFact {
  const read = READERS[event.type];
  if (read === undefined) throw new InvariantViolated(`${event.type} says nothing about capacity`, { stream: event.stream });
  return { ...runStream.parse(event.stream), revision: event.revision, change: read(event.data) };
}
