import { z } from 'zod';
import { TIMER_DELAY_MS_MAX } from './limits';
import { callId, displayName, userValue } from './values';

/**
 * What a run asks of persons, and waits for: an answer of a form. Asking is a fact of the run, so is the answer; when somebody is
 * to be reminded, who may answer later, and when it is over are timers of the run.
 */

/** A form fits on a page. */
export const TASK_FORM_BYTES_MAX = 65_536;
const DESCRIPTION_MAX = 10_000;
const REMINDERS_MAX = 20;
const ESCALATIONS_MAX = 10;

const afterMs = z.number().int().nonnegative().max(TIMER_DELAY_MS_MAX);
const timestampMs = z.number().int().nonnegative();
/** Of the fact that asked. */
const asked = z.number().int().nonnegative();

/** A person by name, or whoever is enrolled with a role. */
export const taskAssignee = z.string().regex(/^(user|role):[A-Za-z0-9_-]{1,64}$/, 'user:<name> or role:<role>');

/** What becomes of it when nobody has answered: a given answer, the error `TaskExpired`, or nothing at all. */
const onExpiry = { action: z.enum(['answer', 'fail', 'continue']), answer: userValue.optional() };

const question = {
  title: displayName,
  description: z.string().max(DESCRIPTION_MAX).optional(),
  /** JSON Schema of the answer, draft 2020-12. */
  form: z.record(z.string(), z.unknown()),
  assignee: taskAssignee,
};

/** By whom and how long, as the code, or the author of a tool, asks for it. */
export const taskTerms = z.object({
  ...question,
  dueMs: afterMs.optional(),
  remindMs: z.array(afterMs).max(REMINDERS_MAX).optional(),
  escalate: z
    .array(z.object({ afterMs, to: taskAssignee }))
    .max(ESCALATIONS_MAX)
    .optional(),
  expires: z.object({ afterMs, ...onExpiry }).optional(),
});
export type TaskTerms = z.infer<typeof taskTerms>;

export const taskAskedEntry = taskTerms.extend({ type: z.literal('task-asked'), call: callId });
export type TaskAskedEntry = z.infer<typeof taskAskedEntry>;

export const taskEventSchemas = {
  TaskAsked: z.object({
    call: callId,
    /** Of the agent or workflow. */
    name: displayName,
    ...question,
    askedAtMs: timestampMs,
    /** Until then it is wanted; nothing happens by itself. */
    dueAtMs: timestampMs.optional(),
    remindAtMs: z.array(timestampMs),
    /** From then on this person or role may answer as well, in the place of the one before it in this list. */
    escalate: z.array(z.object({ atMs: timestampMs, to: taskAssignee })),
    expires: z.object({ atMs: timestampMs, ...onExpiry }).optional(),
    /** Agents: the tool by which the model asks. */
    asTool: z.object({ tool: displayName, toolCallId: z.string().max(200) }).optional(),
  }),
  TaskAnswered: z.object({
    call: callId,
    by: z.string().max(200),
    answer: userValue,
    answerHash: z.string().max(128),
    commandId: z.string(),
  }),
  /** `to` may answer, too, in the place of whomever it was given to before. */
  TaskDelegated: z.object({
    call: callId,
    to: taskAssignee,
    by: z.string().max(200),
    reason: z.string().max(2_000).optional(),
    commandId: z.string(),
  }),
  /** Of those who may answer, nobody has: tell them. */
  TaskReminded: z.object({ call: callId, title: displayName, to: z.array(taskAssignee) }),
  TaskEscalated: z.object({ call: callId, title: displayName, to: taskAssignee }),
  TaskExpired: z.object({ call: callId, ...onExpiry }),
} as const;

export const TASK_PAYLOAD_PATHS = {
  TaskAsked: ['description', 'form', 'expires.answer'],
  TaskAnswered: ['answer'],
  TaskDelegated: ['reason'],
  TaskExpired: ['answer'],
} as const;

export const taskCommandSchemas = {
  /** From whoever sends it: only an assignee, a delegate, or who it was escalated to may answer. */
  AnswerTask: z.object({
    type: z.literal('AnswerTask'),
    call: callId,
    /** Of the fact that asked, as it was shown: refused if something else is asked by now. */
    asked: asked.optional(),
    answer: userValue,
  }),
  DelegateTask: z.object({
    type: z.literal('DelegateTask'),
    call: callId,
    asked: asked.optional(),
    to: taskAssignee,
    reason: z.string().max(2_000).optional(),
  }),
} as const;
