import { z } from 'zod';
import { callId, errorRecord, nameToken, userValue } from './values';

/**
 * Messages from one run to another. The fact that sends one is a promise, kept by the owner of the sender until the owner of the
 * recipient has answered: that it has it, or that it never will. To the recipient a message is a signal that says who sent it.
 */
const message = { call: callId, to: nameToken, name: nameToken, payload: userValue };

export const messageSentEntry = z.object({ type: z.literal('message-sent'), ...message });
export type MessageSentEntry = z.infer<typeof messageSentEntry>;

export const messageEventSchemas = {
  /** `messageId`: the same in every attempt, so that it arrives once. */
  MessageSent: z.object({ ...message, messageId: z.uuidv7() }),
  MessageDelivered: z.object({ call: callId }),
  MessageRefused: z.object({ call: callId, error: errorRecord }),
} as const;

export const MESSAGE_PAYLOAD_PATHS = {
  MessageSent: ['payload'],
  MessageRefused: ['error.message', 'error.details'],
} as const;

/** Of the 48 bits of time that an id of version 7 begins with. */
const TIME_DIGITS = 12;

/** An id of version 7 that follows from who sends, by which call, and when: the same whenever it is made. */
export function messageIdOf(sentAtMs: number, hash: string): string {
  const time = sentAtMs.toString(16).padStart(TIME_DIGITS, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7${hash.slice(0, 3)}-8${hash.slice(3, 6)}-${hash.slice(6, 18)}`;
}
