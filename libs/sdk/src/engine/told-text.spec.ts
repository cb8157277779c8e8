import { MemoryBroker, type MemoryConnection } from '@perdure/platform-bus-memory';
import { runAddress, tokenRequestSubject, tokenSubject, type TokenPlace, type TokensAnswer } from '@perdure/run-contract';
import { ManualHost } from '@perdure/testing';
import { ToldText } from './told-text';

const address = runAddress('acme', 'run1');
const attempt = { call: 't1', epoch: 1, attempt: 1 };

function world() {
  const host = new ManualHost();
  const broker = new MemoryBroker({ timers: host.timers });
  const worker = broker.connect('worker');
  const reader = broker.connect('reader');
  const heard: { offset: number; text: string }[] = [];
  reader.bus.subscribe(tokenSubject.build(address), ({ payload }) => void heard.push(JSON.parse(payload) as (typeof heard)[0]));
  const told = new ToldText({ host, bus: worker.bus }, address);
  return { host, told, heard, texts: () => heard.map(({ text }) => text), missed: (have: TokenPlace[]) => ask(reader, have) };
}

async function ask(reader: MemoryConnection, have: readonly TokenPlace[]): Promise<TokensAnswer> {
  const payload = JSON.stringify({ v: 1, have });
  return JSON.parse(await reader.bus.request(tokenRequestSubject.build(address), payload, { timeoutMs: 100 })) as TokensAnswer;
}

describe('the text of a model call that is under way', () => {
  it('is told at once when it begins, and then in portions', async () => {
    const { host, told, heard } = world();
    const text = told.begin(attempt);
    for (const piece of ['Once ', 'upon ', 'a ', 'time']) text.add(piece);
    await host.settle();
    expect(heard).toMatchObject([{ ...attempt, offset: 0, text: 'Once ' }]);
    await host.advance(50);
    text.add('.');
    text.end();
    await host.settle();
    expect(heard.slice(1)).toMatchObject([
      { offset: 5, text: 'upon a time' },
      { offset: 16, text: '.' },
    ]);
    expect(host.timersPending).toBe(0);
  });

  it('is told without delay when there is much of it, in messages of bounded size', async () => {
    const { host, told, texts } = world();
    const text = told.begin(attempt);
    text.add('a');
    text.add('x'.repeat(40_000));
    await host.settle();
    expect(texts().map(({ length }) => length)).toEqual([1, 16_384, 16_384, 7_232]);
  });

  it('is never cut in the middle of a character', async () => {
    const { host, told, texts } = world();
    const text = told.begin(attempt);
    text.add('a\ud83d');
    await host.advance(50);
    text.add('\ude00b');
    text.end();
    await host.settle();
    expect(texts()).toEqual(['a', '😀b']);
  });

  it('is told again to who asks, from where that one is in this very attempt', async () => {
    const { told, missed } = world();
    const text = told.begin(attempt);
    text.add('Once');
    expect((await missed([])).deltas).toEqual([{ ...attempt, offset: 0, text: 'Once' }]);
    expect((await missed([{ ...attempt, offset: 3 }])).deltas).toEqual([{ ...attempt, offset: 3, text: 'e' }]);
    expect((await missed([{ ...attempt, epoch: 0, offset: 3 }])).deltas).toMatchObject([{ offset: 0 }]);
    expect(await missed([{ ...attempt, offset: 4 }])).toEqual({ v: 1, deltas: [], more: false });
  });

  it('says when what was missed is more than fits into one answer', async () => {
    const { told, missed } = world();
    told.begin(attempt).add('x'.repeat(16_384 * 17));
    const { deltas, more } = await missed([]);
    expect([deltas.length, more]).toEqual([16, true]);
    expect(await missed([{ ...attempt, offset: 16_384 * 16 }])).toMatchObject({
      deltas: [{ text: 'x'.repeat(16_384) }],
      more: false,
    });
  });

  it.each([
    ['the call is over', (_: ToldText, text: { end(): void }) => text.end()],
    ['the activation is', (told: ToldText) => told.stop()],
  ])('is nobody’s to tell when %s', async (_, finish) => {
    const { host, told, missed, texts } = world();
    const text = told.begin(attempt);
    text.add('Once');
    finish(told, text);
    text.add(' more');
    await host.advance(100);
    expect(texts()).toEqual(['Once']);
    const asking = missed([]);
    await expect(asking).rejects.toMatchObject({ code: 'NoResponders' });
  });
});
