import { fitsInto, Terminal } from '@perdure/kernel';
import { TASK_FORM_BYTES_MAX, taskTerms, type TaskTerms } from '@perdure/run-contract';
import { z } from 'zod';

const UNITS = { second: 1_000, minute: 60_000, hour: 3_600_000, day: 86_400_000, week: 604_800_000 } as const;
type Unit = keyof typeof UNITS;
const DURATION = /^(\d+(?:\.\d+)?) ?(second|minute|hour|day|week)s?$/;

/** Milliseconds, or words: `'2 days'`, `'90 minutes'`, `'1 hour'`. */
export type Duration = number | `${number} ${Unit}` | `${number} ${Unit}s`;

/** A person by name, or whoever is enrolled with a role. */
export type Assignee = `user:${string}` | `role:${string}`;

/** What becomes of a question that nobody answers: this answer, the error `TaskExpired`, or the code goes on with `undefined`. */
export type OnExpiry<T> = { readonly answer: T } | 'fail' | 'continue';

/** By whom a question is to be answered, and how long it waits. All times count from the question. */
export interface AskTerms<F extends z.ZodType> {
  /** The form of the answer: what does not fit is refused when it is given. */
  readonly form: F;
  readonly assignee: Assignee;
  /** When it is wanted; it is shown, and nothing happens by itself. */
  readonly due?: Duration;
  /** When those who may answer are to be reminded: each is a fact of the run, `TaskReminded`. */
  readonly remind?: readonly Duration[];
  /** Who may answer as well, from when on. */
  readonly escalate?: readonly { readonly after: Duration; readonly to: Assignee }[];
  /** Without it the question waits for ever. */
  readonly expires?: { readonly after: Duration; readonly action: OnExpiry<z.input<F>> };
}

export interface AskOptions<F extends z.ZodType> extends AskTerms<F> {
  readonly title: string;
  readonly description?: string;
}

/** What is given for an answer. */
export function answerIn<F extends z.ZodType>({ form, expires }: AskTerms<F>, answer: unknown): z.output<F> | undefined {
  if (expires?.action === 'continue' && answer === null && !form.safeParse(null).success) return undefined;
  const parsed = form.safeParse(answer);
  if (parsed.success) return parsed.data;
  // What the form says in words that a JSON Schema has not, as refinements, only the code can check.
  throw new Terminal('InvalidAnswer', `What was answered does not fit the form: ${parsed.error.message}`);
}

/** Of a tool whose uses are questions. @throws Terminal `InvalidQuestion` */
export function termsOfTool<F extends z.ZodType>(name: string, terms: AskTerms<F>): Omit<TaskTerms, 'title' | 'description'> {
  const { title: _, ...rest } = termsOf({ ...terms, title: name });
  return rest;
}

/** @throws Terminal `InvalidQuestion` */
export function termsOf<F extends z.ZodType>(asked: AskOptions<F>): TaskTerms {
  const { title, description, assignee, due, remind, escalate, expires, form } = asked;
  const terms = taskTerms.safeParse({
    title,
    ...(description === undefined ? {} : { description }),
    form: formOf(form),
    assignee,
    ...(due === undefined ? {} : { dueMs: milliseconds(due) }),
    ...(remind === undefined ? {} : { remindMs: remind.map(milliseconds) }),
    ...(escalate === undefined ? {} : { escalate: escalate.map(({ after, to }) => ({ afterMs: milliseconds(after), to })) }),
    ...(expires === undefined ? {} : { expires: { afterMs: milliseconds(expires.after), ...onExpiry(form, expires.action) } }),
  });
  if (terms.success) return terms.data;
  throw new Terminal('InvalidQuestion', `"${title}" cannot be asked like this: ${terms.error.message}`);
}

function formOf(form: z.ZodType): Record<string, unknown> {
  const schema = z.toJSONSchema(form, { io: 'input', unrepresentable: 'any' }) as Record<string, unknown>;
  if (fitsInto(TASK_FORM_BYTES_MAX, JSON.stringify(schema))) return schema;
  throw new Terminal(
    'InvalidQuestion',
    `A form has at most ${TASK_FORM_BYTES_MAX} bytes as a JSON Schema: ask for less at once.`,
  );
}

function onExpiry(form: z.ZodType, action: OnExpiry<unknown>): object {
  if (typeof action === 'string') return { action };
  const parsed = form.safeParse(action.answer);
  if (parsed.success) return { action: 'answer', answer: action.answer };
  throw new Terminal('InvalidQuestion', `The answer that is given when nobody answers does not fit: ${parsed.error.message}`);
}

export function milliseconds(duration: Duration): number {
  if (typeof duration === 'number') return Math.max(0, Math.ceil(duration));
  const [, count, unit] = DURATION.exec(duration) ?? [];
  if (count === undefined) throw new Terminal('InvalidQuestion', `"${duration}" is no duration: say "2 days", or milliseconds.`);
  return Math.ceil(Number(count) * UNITS[unit as Unit]);
}
