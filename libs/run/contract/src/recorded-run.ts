import { z } from 'zod';
import { journalItem } from './answers';
import { callId, displayName, effectClass, nameToken, runKind, userValue } from './values';

/** What was intended and has no end yet: what a worker would be asked to go on with. */
export const recordedCall = z.object({
  call: callId,
  kind: z.enum(['tool', 'model', 'sleep', 'wait', 'child', 'message']),
  /** The tool, or the model as it was referred to. */
  name: z.string().max(200),
  args: userValue.optional(),
  effectClass: effectClass.optional(),
  /** Its destination may yet be asked what became of it. */
  mayBeProbed: z.boolean().optional(),
});
export type RecordedCall = z.infer<typeof recordedCall>;

/** A live run as another build would find it: all that decides what it does next. One line of an export. */
export const recordedRun = z.object({
  v: z.literal(1),
  tenant: nameToken,
  runId: nameToken,
  kind: runKind,
  name: displayName,
  pool: nameToken,
  status: z.enum(['queued', 'active', 'suspended', 'paused']),
  revision: z.number().int().nonnegative(),
  /** Workflows: the build that it is pinned to. */
  buildId: nameToken.optional(),
  input: userValue,
  /** Agents: the newest turn, and the limit of turns as the newest build has it. */
  turn: z.number().int().nonnegative(),
  turnsMax: z.number().int().positive().optional(),
  /** Workflows: what its code was given, in order. */
  journal: z.array(journalItem),
  open: z.array(recordedCall),
});
export type RecordedRun = z.infer<typeof recordedRun>;
