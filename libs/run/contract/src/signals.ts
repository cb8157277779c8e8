import { z } from 'zod';
import { callId, nameToken, userValue } from './values';

/** Facts about what is sent to a run from outside. */
export const signalEventSchemas = {
  /** It is given to the oldest wait for its name, or kept until there is one; an agent is shown it with its next turn. */
  SignalReceived: z.object({ name: nameToken, payload: userValue, commandId: z.string() }),
  /** The code waits for a signal: the oldest unread one of that name answers at once. */
  SignalAwaited: z.object({ call: callId, name: nameToken, dueAtMs: z.number().int().nonnegative().optional() }),
} as const;

export const SIGNAL_PAYLOAD_PATHS = { SignalReceived: ['payload'] } as const;

/** A signal as a model is shown it, before the turn that answers to it. */
export const shownSignal = z.object({ revision: z.number().int().nonnegative(), name: nameToken, payload: userValue });
export type ShownSignal = z.infer<typeof shownSignal>;
