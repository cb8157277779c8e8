import { EventStoreServerError } from '@perdure/event-store-server';
import { Terminal } from '@perdure/kernel';

/** The errors of the store are the command's own: one line that says what to do. */
export async function told<T>(outcome: Promise<T>): Promise<T> {
  return outcome.catch((thrown: unknown) => {
    throw thrown instanceof EventStoreServerError ? new Terminal(thrown.code, thrown.message) : thrown;
  });
}
