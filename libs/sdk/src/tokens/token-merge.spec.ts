import fc from 'fast-check';
import type { TokenDelta } from '@perdure/run-contract';
import { BEGINNING, cursorText, parseCursor } from './token-cursor';
import { TokenMerge, type TokenEvent } from './token-merge';
import { Screen, StoryOfCalls } from './token-merge.world';

const delta = (offset: number, text: string, more: Partial<TokenDelta> = {}): TokenDelta => ({
  call: 't1',
  epoch: 1,
  attempt: 1,
  offset,
  text,
  ...more,
});
const assigned = { type: 'assigned', revision: 1, epoch: 1 } as const;
const began = { type: 'began', revision: 2, call: 't1' } as const;
const completed = { type: 'completed', revision: 3, call: 't1', epoch: 1, attempt: 1, text: 'Hello there' } as const;
const brief = (events: Iterable<TokenEvent>) =>
  [...events].map((event) =>
    event.type === 'text' ? event.text : event.type === 'rewound' ? event : `${event.type} ${event.epoch}.${event.attempt}`,
  );

/** Opened by its fact. */
function opened(): TokenMerge {
  const merge = new TokenMerge(BEGINNING);
  expect(brief([...merge.takeFact(assigned), ...merge.takeFact(began)])).toEqual([]);
  merge.caughtUp();
  return merge;
}

describe('the tokens of a call', () => {
  it('are shown as they come, and what the log adds when it has been recorded', () => {
    const merge = opened();
    expect(brief(merge.takeDelta(delta(0, 'Hello')))).toEqual(['Hello']);
    expect(brief(merge.takeFact(completed))).toEqual([' there', 'completed 1.1']);
  });

  it('are shown once, however often and in whatever portions they come', () => {
    const merge = opened();
    const events = [delta(0, 'Hel'), delta(0, 'Hel'), delta(0, 'Hello'), delta(1, 'ell'), delta(4, 'o th')];
    expect(brief(events.flatMap((event) => [...merge.takeDelta(event)]))).toEqual(['Hel', 'lo', ' th']);
  });

  it('are asked for when some are missing', () => {
    const merge = opened();
    expect(merge.isBehind).toBe(false);
    expect(brief(merge.takeDelta(delta(3, 'lo')))).toEqual([]);
    expect(merge.isBehind).toBe(true);
  });

  it('are not shown before the facts that they rest on, and asked for then', () => {
    const merge = opened();
    expect(brief(merge.takeDelta(delta(0, 'Hello', { epoch: 2 })))).toEqual([]);
    expect(merge.isBehind).toBe(true);
  });

  it('are reset when the worker is lost, and told anew by the next', () => {
    const merge = opened();
    expect(brief(merge.takeDelta(delta(0, 'Hello')))).toEqual(['Hello']);
    expect(brief(merge.takeFact({ type: 'assigned', revision: 3, epoch: 2 }))).toEqual(['reset 2.1']);
    expect(brief(merge.takeDelta(delta(0, 'Hello there')))).toEqual([]);
    expect(brief(merge.takeDelta(delta(0, 'Good day', { epoch: 2 })))).toEqual(['Good day']);
    expect(brief(merge.takeFact({ ...completed, revision: 4, epoch: 2, text: 'Good day' }))).toEqual(['completed 2.1']);
  });

  it('are reset by the next attempt, also before the log says that the one before has failed', () => {
    const merge = opened();
    expect(brief(merge.takeDelta(delta(0, 'Hello')))).toEqual(['Hello']);
    expect(brief(merge.takeDelta(delta(0, 'Hi', { attempt: 2 })))).toEqual(['reset 1.2', 'Hi']);
    expect(brief(merge.takeFact({ type: 'failed', revision: 3, call: 't1', epoch: 1, attempt: 1, final: false }))).toEqual([]);
    expect(brief(merge.takeDelta(delta(5, ' there')))).toEqual([]);
  });

  it('are the recorded ones, when those shown were of another attempt', () => {
    const merge = opened();
    expect(brief(merge.takeDelta(delta(0, 'Hello')))).toEqual(['Hello']);
    expect(brief(merge.takeFact({ ...completed, epoch: 2 }))).toEqual(['reset 2.1', 'Hello there', 'completed 2.1']);
  });

  it('are void when the call is given up, or the run ends without it', () => {
    const failing = opened();
    expect(brief(failing.takeDelta(delta(0, 'Hello')))).toEqual(['Hello']);
    expect(brief(failing.takeFact({ type: 'failed', revision: 3, call: 't1', epoch: 1, attempt: 1, final: true }))).toEqual([
      'reset 1.2',
    ]);
    expect(failing.places).toEqual([]);
    const ending = opened();
    expect(brief(ending.takeDelta(delta(0, 'Hello')))).toEqual(['Hello']);
    expect(brief(ending.end())).toEqual(['reset 1.2']);
  });

  it('go on where a reader was, in another process', () => {
    const [event] = opened().takeDelta(delta(0, 'Hello'));
    const merge = new TokenMerge(parseCursor(event?.id ?? ''));
    expect([merge.next, merge.places]).toEqual([3, [{ call: 't1', epoch: 1, attempt: 1, offset: 5 }]]);
    expect(merge.isBehind).toBe(true);
    expect(brief(merge.takeFact(completed))).toEqual([' there', 'completed 1.1']);
  });
});

describe('whatever is lost, repeated, late or out of order, whoever crashes, and wherever a reader starts again', () => {
  /** Everything that happens is chosen from the tape. */
  function told(tape: readonly number[]): { screen: Screen; story: StoryOfCalls } {
    let at = 0;
    const choose = (below: number): number => (tape[at++ % tape.length] ?? 0) % below;
    const story = new StoryOfCalls(choose);
    const screen = new Screen();
    let merge = new TokenMerge(BEGINNING);
    const show = (events: Iterable<TokenEvent>): void => {
      for (const event of events) {
        screen.show(event);
        if (choose(10) > 0) continue;
        merge = new TokenMerge(parseCursor(event.id));
        return;
      }
    };
    const facts = () => story.said.flatMap((said) => ('fact' in said ? [said.fact] : []));
    const readFact = (): boolean => {
      const fact = facts().find(({ revision }) => revision >= merge.next);
      if (fact !== undefined) show(merge.takeFact(fact));
      return fact !== undefined;
    };
    for (let step = 0; step < tape.length; step += 1) {
      story.goOn();
      const deltas = story.said.flatMap((said) => ('delta' in said ? [said.delta] : []));
      const heard = deltas[deltas.length - 1 - choose(Math.min(6, Math.max(1, deltas.length)))];
      if (heard !== undefined && choose(4) > 0) show(merge.takeDelta(heard));
      if (choose(3) === 0) readFact();
      if (merge.isBehind && choose(3) === 0) {
        merge.caughtUp();
        for (const missed of story.underWay) show(merge.takeDelta(missed));
      }
    }
    while (readFact());
    // Who starts again in the middle of the end comes to it again.
    while (merge.places.length > 0) show(merge.end());
    return { screen, story };
  }

  it('shows nothing twice and misses nothing, and at the end what is recorded', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1_000_000), { minLength: 20, maxLength: 300 }), (tape) => {
        const { screen, story } = told(tape);
        expect(screen.shown).toEqual(story.recorded);
      }),
      { numRuns: 500, seed: 20_260_103 },
    );
  });
});

describe('where a reader is', () => {
  const place = fc.record({
    call: fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' }),
    epoch: fc.nat(1_000),
    attempt: fc.nat(10),
    offset: fc.nat(1_000_000),
  });

  it('is said in one word, and read back', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(1_000), fc.array(place, { maxLength: 16 }), (revision, epoch, open) => {
        const text = cursorText({ revision, epoch, open });
        expect(text).toMatch(/^[!-~]+$/);
        expect(parseCursor(text)).toEqual({ revision, epoch, open });
      }),
      { seed: 20_260_103 },
    );
  });

  it.each([
    ['empty', ''],
    ['no number', 'x'],
    ['negative', '-1,0'],
    ['a place that is incomplete', '1,1;t1,1,1'],
    ['text of broken encoding', '1,1;%E0%A4%A,1,1,1'],
    ['too long', `1,1${';t1,1,1,1'.repeat(1_000)}`],
  ])('is not what is %s', (_, text) => {
    expect(() => parseCursor(text)).toThrow(expect.objectContaining({ code: 'MalformedRequest' }) as Error);
  });
});
