import { type AppendResult, AppendRefused, type ExpectedRevision, StoreUnavailable } from '@perdure/kernel';
import type { RawProposal } from '@perdure/platform-event-store-esdb';
import { AppendLanes } from './append-lanes';
import type { TransferEvent } from './transfer-format';

interface Asked {
  readonly stream: string;
  readonly expected: ExpectedRevision;
  readonly ids: readonly string[];
}

/** A target that answers when it is told to. */
class SlowTarget {
  readonly asked: Asked[] = [];
  private readonly answers: ((result: AppendResult | Error) => void)[] = [];
  private wanted: (() => void) | undefined;

  append(stream: string, expected: ExpectedRevision, events: readonly RawProposal[]): Promise<AppendResult> {
    this.asked.push({ stream, expected, ids: events.map(({ id }) => id) });
    this.wanted?.();
    return new Promise((resolve, reject) => {
      this.answers.push((result) => (result instanceof Error ? reject(result) : resolve(result)));
    });
  }

  async untilAsked(count: number): Promise<void> {
    while (this.asked.length < count) await new Promise<void>((resolve) => (this.wanted = resolve));
  }

  /** Answers the append number `at`, counted from 0. */
  answer(at: number, result: AppendResult | Error = this.success(at)): void {
    this.answers[at]?.(result);
  }

  private success(at: number): AppendResult {
    const { expected, ids } = this.asked[at] as Asked;
    const before = typeof expected === 'number' ? expected : -1;
    return { outcome: 'appended', revision: before + ids.length, position: { commit: '0', prepare: '0' } };
  }
}

function event(stream: string, revision: number, bytes = 10): TransferEvent {
  const id = `${stream}-${revision}`;
  const data = Buffer.alloc(bytes);
  return { kind: 'event', stream, revision, id, type: 'T', contentType: 'application/json', data, metadata: Buffer.alloc(0) };
}

describe('appends in lanes', () => {
  let target: SlowTarget;
  let lanes: AppendLanes;

  beforeEach(() => {
    target = new SlowTarget();
    lanes = new AppendLanes(target);
  });

  it('take together what came at once, and have one append a stream under way', async () => {
    for (const revision of [0, 1]) expect(lanes.push(event('a', revision))).toBeUndefined();
    void lanes.push(event('b', 0));
    await target.untilAsked(2);
    for (const revision of [2, 3]) void lanes.push(event('a', revision));
    target.answer(0);
    await target.untilAsked(3);
    expect(target.asked).toEqual([
      { stream: 'a', expected: 'no-stream', ids: ['a-0', 'a-1'] },
      { stream: 'b', expected: 'no-stream', ids: ['b-0'] },
      { stream: 'a', expected: 1, ids: ['a-2', 'a-3'] },
    ]);
    target.answer(1);
    target.answer(2);
    await lanes.allSettled();
  });

  it('keep appends below what servers accept', async () => {
    for (const revision of [0, 1, 2]) void lanes.push(event('a', revision, 100_000));
    await target.untilAsked(1);
    target.answer(0);
    await target.untilAsked(2);
    expect(target.asked.map(({ ids }) => ids.length)).toEqual([2, 1]);
    target.answer(1);
    await lanes.allSettled();
  });

  it('make whoever pushes wait when much is held', async () => {
    let room: Promise<void> | undefined;
    let pushed = 0;
    while (room === undefined && pushed < 1_000) room = lanes.push(event(`s-${pushed++}`, 0, 500_000));
    expect(pushed).toBeLessThan(20);
    await target.untilAsked(1);
    target.answer(0);
    await expect(room).resolves.toBeUndefined();
  });

  it('send the identical append again when there was no answer', async () => {
    void lanes.push(event('a', 0));
    await target.untilAsked(1);
    target.answer(0, new StoreUnavailable('gone'));
    await target.untilAsked(2);
    target.answer(1);
    await lanes.allSettled();
    expect(target.asked[1]).toEqual(target.asked[0]);
  });

  it('go on behind the place at which an earlier import ended', async () => {
    for (const revision of [0, 1, 2]) void lanes.push(event('a', revision));
    await target.untilAsked(1);
    target.answer(0, { outcome: 'wrong-revision', actual: 1 });
    await target.untilAsked(2);
    target.answer(1);
    await target.untilAsked(3);
    target.answer(2);
    await lanes.allSettled();
    expect(target.asked.slice(1)).toEqual([
      { stream: 'a', expected: 'no-stream', ids: ['a-0', 'a-1'] },
      { stream: 'a', expected: 1, ids: ['a-2'] },
    ]);
  });

  it.each([
    ['the target has fewer events than it should', { outcome: 'wrong-revision', actual: 'no-stream' } as const, 'TargetDiffers'],
    ['it is refused for good', new AppendRefused('too large'), 'EventRefused'],
    [
      'it got another revision',
      { outcome: 'appended', revision: 9, position: { commit: '0', prepare: '0' } } as const,
      'TargetDiffers',
    ],
  ])('end with the place when %s', async (_, answer, code) => {
    void lanes.push(event('a', 5));
    await target.untilAsked(1);
    target.answer(0, answer);
    await expect(lanes.allSettled()).rejects.toMatchObject({ code, details: { stream: 'a', revision: 5 } });
    expect(() => lanes.push(event('b', 0))).toThrow(expect.objectContaining({ code }) as Error);
  });

  it('try nothing again once the import has ended', async () => {
    void lanes.push(event('a', 0));
    await target.untilAsked(1);
    lanes.stop();
    target.answer(0, new StoreUnavailable('closed'));
    await expect(lanes.allSettled()).rejects.toMatchObject({ code: 'StoreUnavailable' });
    expect(target.asked).toHaveLength(1);
  });

  it('pass over a stream that the target says is deleted for ever', async () => {
    void lanes.push(event('a', 0));
    await target.untilAsked(1);
    target.answer(0, { outcome: 'stream-deleted' });
    await lanes.allSettled();
    void lanes.push(event('a', 1));
    await lanes.allSettled();
    expect(target.asked).toHaveLength(1);
    expect([...lanes.deleted]).toEqual(['a']);
  });
});
