import { Terminal } from '@perdure/kernel';
import type { Workflow } from './definitions';
import type { Finish } from './open-calls';
import { serialise } from './outcome';

/** Thrown through the code, to whoever runs it: it begins again with this input. */
export class Continuation extends Error {
  override readonly name = 'Continuation';

  constructor(readonly input: unknown) {
    super('The code begins again: let this error pass.');
  }
}

/** Whatever was thrown, asking what it is does no harm. */
export function isContinuation(thrown: unknown): thrown is Continuation {
  try {
    return thrown instanceof Continuation;
  } catch {
    return false;
  }
}

/** How a pass of the code ends that asks for another one. What does not fit is a failure of the pass that asked for it. */
export async function againWith(workflow: Workflow, input: unknown): Promise<Finish> {
  try {
    const { text, value } = serialise(input ?? null, `The input that ${workflow.name} continues with`);
    await workflow.input.parseAsync(value);
    return { ok: 'again', input: text };
  } catch (error) {
    return { ok: false, error: error instanceof Terminal ? error : invalidInput(workflow, error) };
  }
}

export function invalidInput({ name }: Workflow, error: unknown): Terminal {
  const message = `The input does not fit ${name}: ${error instanceof Error ? error.message : String(error)}`;
  return new Terminal('InvalidInput', message);
}
