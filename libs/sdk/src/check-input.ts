import { Terminal } from '@perdure/kernel';
import type { Behaviour } from './engine/definitions';

/** @throws Terminal `InvalidInput` */
export async function checkInput(behaviour: Behaviour, input: unknown): Promise<void> {
  const parsed = await behaviour.input.safeParseAsync(input);
  if (parsed.success) return;
  throw new Terminal('InvalidInput', `The input does not fit ${behaviour.name}: ${parsed.error.message}`, {
    details: { name: behaviour.name },
  });
}
