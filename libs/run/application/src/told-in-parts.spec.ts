import { MESSAGE_BYTES_MAX } from '@perdure/kernel';
import { workerMessage, type Activate, type InboundFact, type WorkerMessage } from '@perdure/run-contract';
import { toldInParts } from './told-in-parts';

const LARGE_BYTES = 900_000;

function arrived(revision: number): InboundFact {
  // Three bytes to a character.
  return { revision, call: `${revision}`, outcome: { ok: true, value: '€'.repeat(LARGE_BYTES / 3) } };
}

function order(inbound: readonly InboundFact[], input: unknown = 'x'.repeat(LARGE_BYTES)): Activate {
  return {
    type: 'activate',
    v: 1,
    tenant: 'acme',
    runId: 'run1',
    kind: 'workflow',
    name: 'invoice',
    buildId: 'b1',
    epoch: 3,
    sessionId: 's1',
    revision: 99,
    input,
    segments: 2,
    journal: [],
    inbound: [...inbound],
    instructions: [{ do: 'run-tool', call: 'last', tool: 'pay', args: 'x'.repeat(LARGE_BYTES), attempt: 1 }],
    cancelRequested: true,
    pauseRequested: true,
  };
}

type News = Pick<Activate, 'inbound' | 'instructions'>;

function told(parts: readonly string[]): (WorkerMessage & News)[] {
  return parts.map((part) => workerMessage.parse(JSON.parse(part)) as WorkerMessage & News);
}

describe('what a worker is told', () => {
  it('is one message as long as it fits', () => {
    const small = order([arrived(1)]);
    expect(toldInParts(small)).toEqual([JSON.stringify(small)]);
  });

  it('follows in further messages, each of which fits, all of it once and facts in their order', () => {
    const whole = order(Array.from({ length: 20 }, (_, at) => arrived(at)));
    const parts = toldInParts(whole);
    for (const part of parts) expect(Buffer.byteLength(part)).toBeLessThan(MESSAGE_BYTES_MAX);
    const [first, ...rest] = told(parts);
    expect(first).toMatchObject({ type: 'activate', epoch: 3, segments: 2, revision: 99 });
    for (const part of rest)
      expect(part).toMatchObject({ type: 'inbound', runId: 'run1', epoch: 3, cancelRequested: true, pauseRequested: true });
    expect(told(parts).flatMap(({ inbound }) => inbound)).toEqual(whole.inbound);
    expect(told(parts).flatMap(({ instructions }) => instructions)).toEqual(whole.instructions);
  });
});
