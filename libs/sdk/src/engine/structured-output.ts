import { Terminal } from '@perdure/kernel';
import type { z } from 'zod';
import type { Message, ModelPrompt, ModelReply, TypedReply } from './definitions';

/** Fields named to a model that has got them wrong: enough to mend it, little enough to read. */
const ISSUES_SHOWN = 10;
const PROBLEM_LENGTH_MAX = 4_000;
/** Answers asked for until one has the form: each but the last is told what is wrong with it. */
export const ANSWERS_MAX = 3;

type Checked = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly problem: string };

/** The answer of a model in the form that was asked for, or what is wrong with it. */
export async function checkedOutput(text: string, schema: z.ZodType): Promise<Checked> {
  let value: unknown;
  try {
    value = JSON.parse(withoutFence(text));
  } catch (error) {
    return { ok: false, problem: `it is not JSON (${(error as Error).message})`.slice(0, PROBLEM_LENGTH_MAX) };
  }
  const parsed = await schema.safeParseAsync(value).catch((error: unknown) => ({ success: false as const, error }));
  return parsed.success ? { ok: true, value: parsed.data } : { ok: false, problem: issuesText(parsed.error) };
}

/** Many models cannot help putting JSON into a block of Markdown. */
function withoutFence(text: string): string {
  return /^\s*```(?:json)?\s*\n([\s\S]*?)\n\s*```\s*$/.exec(text)?.[1] ?? text;
}

/** Which field is wrong, and how. */
export function issuesText(error: unknown): string {
  const issues = (error as Partial<z.ZodError> | null)?.issues;
  if (!Array.isArray(issues)) return error instanceof Error ? error.message : String(error);
  const lines = issues
    .slice(0, ISSUES_SHOWN)
    .map(({ path, message }) => `${path.length === 0 ? 'the whole' : path.join('.')}: ${message}`);
  const more = issues.length > ISSUES_SHOWN ? [`and ${issues.length - ISSUES_SHOWN} more`] : [];
  return [...lines, ...more].join('; ').slice(0, PROBLEM_LENGTH_MAX);
}

interface Asking {
  readonly prompt: ModelPrompt;
  readonly output: z.ZodType;
  ask(call: string, prompt: ModelPrompt): Promise<ModelReply>;
}

/**
 * Each answer is a call of its own, recorded and paid for once: `5`, `5~2`, `5~3`.
 * @throws Terminal `InvalidModelOutput`
 */
export async function askForOutput(call: string, { prompt, output, ask }: Asking): Promise<TypedReply<unknown>> {
  let messages: readonly Message[] = 'prompt' in prompt ? [{ role: 'user', text: prompt.prompt }] : prompt.messages;
  for (let answer = 1; ; answer += 1) {
    const { instructions = '' } = prompt;
    const reply = await ask(answer === 1 ? call : `${call}~${answer}`, { instructions, messages, output });
    const checked = await checkedOutput(reply.text, output);
    if (checked.ok) return { ...reply, output: checked.value };
    if (answer >= ANSWERS_MAX) throw invalidOutput(answer, checked.problem);
    messages = [
      ...messages,
      { role: 'assistant', text: reply.text, toolCalls: [] },
      {
        role: 'user',
        text: `Your answer does not have the form that is asked for: ${checked.problem}. Answer with JSON of that form and nothing else.`,
      },
    ];
  }
}

function invalidOutput(answers: number, problem: string): Terminal {
  return new Terminal(
    'InvalidModelOutput',
    `None of ${answers} answers of the model has the form that was asked for; at last: ${problem}. Say in the prompt what is wanted, or loosen the schema.`,
  );
}
