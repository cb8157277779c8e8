import { PerdureError } from '@perdure/kernel';

const RECONNECT_MS = 200;
/** A gateway that dies is restarted within a few seconds; a reader waits longer than that. */
const RECONNECT_TRIES = 50;

/** Server-sent events until their end, also over the death of who sends them: `open` says where to go on. */
export async function* lastingEvents<T>(open: () => Promise<Response>): AsyncGenerator<T> {
  for (let failures = 0; ;) {
    try {
      for await (const item of serverSentEvents<T>(await open())) {
        failures = 0;
        if (item === 'end') return;
        yield item;
      }
    } catch (thrown) {
      if (thrown instanceof PerdureError && thrown.reaction !== 'retryable') throw thrown;
      failures += 1;
      if (failures > RECONNECT_TRIES) throw thrown;
    }
    await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
  }
}

async function* serverSentEvents<T>({ body }: Response): AsyncGenerator<T | 'end'> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body ?? []) {
    rest += decoder.decode(chunk as Uint8Array, { stream: true });
    const messages = rest.split('\n\n');
    rest = messages.pop() ?? '';
    for (const message of messages) {
      const lines = message.split('\n');
      if (lines.includes('event: end')) {
        yield 'end';
        return;
      }
      const data = lines.find((line) => line.startsWith('data: '));
      if (data) yield JSON.parse(data.slice('data: '.length)) as T;
    }
  }
}
