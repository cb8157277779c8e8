import { CALLBACK_PREFIX, isToken, Terminal } from '@perdure/kernel';
import { z } from 'zod';
import { runAddress, type RunAddress } from './names';
import { callId, errorRecord, nameToken, userValue } from './values';

/** Facts about what is sent to a run from outside. */
export const signalEventSchemas = {
  /** It is given to the oldest wait for its name, or kept until there is one; an agent is shown it with its next turn. */
  SignalReceived: z.object({
    name: nameToken,
    payload: userValue,
    commandId: z.string(),
    /** The run that has sent it. */
    from: nameToken.optional(),
  }),
  /** The code waits for a signal: the oldest unread one of that name answers at once. */
  SignalAwaited: z.object({ call: callId, name: nameToken, dueAtMs: z.number().int().nonnegative().optional() }),
} as const;

/** Of a callback: its name, which only those know whom it was given, with the address of the run. */
export const callbackToken = {
  build: ({ tenant, runId }: RunAddress, name: string): string => `${tenant}.${runId}.${name}`,
  /** @throws Terminal `InvalidCallback` */
  parse: (text: string): { readonly address: RunAddress; readonly name: string } => {
    const [tenant = '', runId = '', name = '', ...rest] = text.split('.');
    const isOne = rest.length === 0 && name.startsWith(CALLBACK_PREFIX) && [tenant, runId, name].every(isToken);
    if (isOne) return { address: runAddress(tenant, runId), name };
    throw new Terminal('InvalidCallback', 'This is not the token of a callback: use the one that the run has given, as it is.');
  },
};

/** What somebody who was called brings. */
export const callbackPayload = z.union([z.object({ result: userValue }).strict(), z.object({ error: errorRecord }).strict()]);
export type CallbackPayload = z.infer<typeof callbackPayload>;

export const SIGNAL_PAYLOAD_PATHS = { SignalReceived: ['payload'] } as const;

/** A signal as a model is shown it, before the turn that answers to it. */
export const shownSignal = z.object({
  revision: z.number().int().nonnegative(),
  name: nameToken,
  payload: userValue,
  from: nameToken.optional(),
});
export type ShownSignal = z.infer<typeof shownSignal>;
