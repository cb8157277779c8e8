import { z } from 'zod';
import { callId } from './values';

/**
 * The text of model calls, as it comes: from the worker that makes the call, to whoever reads along.
 *
 * 1. What the log says of a call is the truth. A delta is a hint of what it will say: it may be lost, repeated or late.
 * 2. An attempt of a call is told apart from every other by (epoch, attempt), which only grow. Its text is the same wherever it is
 *    told, so an offset in it means the same to everybody.
 * 3. Whatever an attempt has told is void when a later one begins.
 */

/** Characters (UTF-16 units) of one delta: small enough to pass between other messages. */
export const DELTA_CHARS_MAX = 16_384;
/** Deltas of one answer to who asks for what it has missed; for the rest it asks again. */
export const DELTAS_MAX = 16;
/** Calls that a reader names when it asks. */
export const PLACES_MAX = 256;

/** A place in the text of one attempt of a call; `offset` counts UTF-16 units. */
export const tokenPlace = z.object({
  call: callId,
  epoch: z.number().int().nonnegative(),
  attempt: z.number().int().nonnegative(),
  offset: z.number().int().nonnegative(),
});
export type TokenPlace = z.infer<typeof tokenPlace>;

/** More of the text of an attempt, from `offset` on. */
export const tokenDelta = tokenPlace.extend({ text: z.string().min(1) });
export type TokenDelta = z.infer<typeof tokenDelta>;

/** What goes over the token subject of a run. */
export const tokenMessage = tokenDelta.extend({ v: z.literal(1) });
export type TokenMessage = z.infer<typeof tokenMessage>;

/** To the worker that makes model calls of a run at the moment: how far a reader is. */
export const tokensAsked = z.object({ v: z.literal(1), have: z.array(tokenPlace).max(PLACES_MAX) });
export type TokensAsked = z.infer<typeof tokensAsked>;

/** What the reader has not got yet. `more`: it is not all, ask again. */
export const tokensAnswer = z.object({ v: z.literal(1), deltas: z.array(tokenDelta).max(DELTAS_MAX), more: z.boolean() });
export type TokensAnswer = z.infer<typeof tokensAnswer>;

const ofFact = { revision: z.number().int().nonnegative() };
const ofAttempt = { call: callId, epoch: z.number().int().nonnegative(), attempt: z.number().int().positive() };

/** What the log says of the model calls of a run. */
export const modelCallFact = z.discriminatedUnion('type', [
  /** A worker holds the run, in this epoch: nothing counts that one of an earlier epoch still tells. */
  z.object({ type: z.literal('assigned'), ...ofFact, epoch: z.number().int().positive() }),
  z.object({ type: z.literal('began'), ...ofFact, call: callId }),
  z.object({ type: z.literal('completed'), ...ofFact, ...ofAttempt, text: z.string() }),
  /** `final`: it is not tried again. */
  z.object({ type: z.literal('failed'), ...ofFact, ...ofAttempt, final: z.boolean() }),
  /** What the log says after revision `to` is no longer part of the run; open calls are begun anew. */
  z.object({ type: z.literal('rewound'), ...ofFact, to: z.number().int().nonnegative() }),
]);
export type ModelCallFact = z.infer<typeof modelCallFact>;

/** Answer to GetModelCalls. */
export const modelCallPage = z.object({
  facts: z.array(modelCallFact),
  /** The revision to ask from next. */
  next: z.number().int().nonnegative(),
  /** The run has ended, and there is nothing after this page. */
  ended: z.boolean(),
});
export type ModelCallPage = z.infer<typeof modelCallPage>;
