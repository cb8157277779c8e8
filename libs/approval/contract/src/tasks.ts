import { z } from 'zod';

/** What runs ask of persons, as a gateway lists it: a person who waits for work reads it. Answers go to the owner of the run. */

const nameToken = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);
const LIST_MAX = 1_000;
const LIST_DEFAULT = 100;
const ASSIGNEES_MAX = 50;
const assignee = z.string().regex(/^(user|role):[A-Za-z0-9_-]{1,64}$/);

export const taskStatus = z.enum(['open', 'answered', 'expired', 'ended']);
export type TaskStatus = z.infer<typeof taskStatus>;

export const taskLine = z.object({
  runId: nameToken,
  tenant: nameToken,
  call: z.string(),
  asked: z.number().describe('Revision of the fact that asked: send it back with the answer.'),
  name: z.string().describe('Of the agent or workflow.'),
  title: z.string(),
  status: taskStatus,
  assignee: z.string(),
  delegatedTo: z.string().optional(),
  escalatedTo: z.string().optional(),
  askedAtMs: z.number(),
  dueAtMs: z.number().optional(),
  expiresAtMs: z.number().optional(),
  answeredBy: z.string().optional(),
  revision: z.number().describe('Of the newest fact about it.'),
});
export type TaskLine = Readonly<z.infer<typeof taskLine>>;

/** With all that is needed to answer. */
export const task = taskLine.extend({
  description: z.string().optional(),
  form: z.record(z.string(), z.unknown()).describe('JSON Schema of the answer.'),
});
export type Task = Readonly<z.infer<typeof task>>;

export const taskPage = z.object({
  tasks: z.array(taskLine),
  next: z.string().optional().describe('Present when there are more: give it as `after`.'),
});
export type TaskPage = Readonly<z.infer<typeof taskPage>>;

export const tasksWanted = {
  status: taskStatus.optional(),
  assignee: z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(assignee).max(ASSIGNEES_MAX))
    .optional()
    .describe('Only what one of these may answer, with commas between them: user:mia,role:finance.'),
  after: z.string().max(400).optional(),
  limit: z.coerce.number().int().positive().max(LIST_MAX).default(LIST_DEFAULT),
};

export const taskQuestions = [
  z.object({ type: z.literal('ListTasks'), ...tasksWanted }),
  z.object({ type: z.literal('GetTask'), runId: nameToken, call: z.string().min(1).max(200) }),
] as const;
