import type { TokenEvent } from '@perdure/sdk';
import { TokenLines } from './token-lines';

const ESCAPES = /\u001b\[\d+m/g;
const of = (call: string, epoch = 1) => ({ id: '0,0', call, epoch, attempt: 1 });
const text = (call: string, offset: number, said: string): TokenEvent => ({ ...of(call), type: 'text', offset, text: said });

function shown(...events: readonly TokenEvent[]): string {
  const lines = new TokenLines();
  return events.map((event) => lines.take(event).replace(ESCAPES, '')).join('');
}

describe('the tokens of a run on a terminal', () => {
  it('are the text as it comes, under the name of its call', () => {
    expect(
      shown(text('t1', 0, 'Hello '), text('t1', 6, 'there'), { ...of('t1'), type: 'completed', offset: 11, revision: 4 }),
    ).toBe('── t1\nHello there\n✓ t1: 11 characters, recorded as #4\n');
  });

  it('are kept apart where calls speak at the same time', () => {
    expect(shown(text('1', 0, 'left'), text('2', 0, 'right\n'), text('1', 4, '!'))).toBe('── 1\nleft\n── 2\nright\n── 1\n!');
  });

  it('have a mark where what stands above is void', () => {
    expect(shown(text('t1', 0, 'Hel'), { ...of('t1', 2), type: 'reset' }, text('t1', 0, 'Good day'))).toBe(
      '── t1\nHel\n↺ what stands above of t1 is void: it is told anew (epoch 2, attempt 1)\n── t1\nGood day',
    );
    expect(shown({ id: '0,0', type: 'rewound', to: 7 })).toContain('after #7 is void');
  });
});
