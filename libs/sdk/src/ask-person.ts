import { Terminal } from '@perdure/kernel';
import { z } from 'zod';
import { termsOfTool, type AskTerms } from './engine/asking';
import type { Tool } from './engine/definitions';
import { checkDisplayName, retryPolicy } from './policies';

/** What the model says. */
const question = z.object({
  title: z.string().min(1).max(200).describe('The question, in one line.'),
  description: z.string().max(10_000).optional().describe('What the person has to know to answer it.'),
});

const freeText = z.object({ answer: z.string() });

export interface AskPersonOptions<F extends z.ZodType> extends Omit<AskTerms<F>, 'form'> {
  /** As the model knows it. Default: `ask_person`. */
  readonly name?: string;
  /** What the model is told of it: whom it asks, and when to. */
  readonly description: string;
  /** Default: one text, `{ answer }`. */
  readonly form?: F;
}

/**
 * Lets the model of an agent ask a person: each use is a durable question, which holds no worker, and the answer is the result of the
 * tool. The model says the question; who is asked, for how long and in which form, the author. Workflows ask with `ctx.ask`.
 */
export function askPerson<F extends z.ZodType = typeof freeText>(
  options: AskPersonOptions<F>,
): Tool<typeof question, z.input<F> | null> {
  const { name: given = 'ask_person', description, form = freeText as unknown as F, ...terms } = options;
  const name = checkDisplayName(given, 'tool');
  const ask = termsOfTool(name, { ...terms, form });
  return {
    kind: 'tool',
    name,
    description,
    input: question,
    ask,
    // Nobody executes it: these only fill the form.
    effect: 'idempotent',
    timeoutMs: 1,
    retry: retryPolicy({ attemptsMax: 1 }),
    code: JSON.stringify([description, ask]),
    execute: () => Promise.reject(new Terminal('NotATool', `${name} is a question: in a workflow, ask it with ctx.ask.`)),
  };
}
