import type { JournalItem } from '@perdure/run-contract';
import { VirtualHost } from '../spec-kit/virtual-host';
import { Conversation, holdsContext } from './conversation';

const TURNS = 12;

/** A signal before each turn, and in each turn one use of a tool. */
const journal = Array.from({ length: TURNS }, (_, index) => turn(index + 1)).flat();

function turn(number: number): readonly JournalItem[] {
  const call = `t${number}`;
  const toolCallId = `use-${number}`;
  const decision = {
    text: '',
    toolCalls: [{ toolCallId, tool: 'look', args: { number } }],
    finishReason: 'tool-calls',
    usage: { inputTokens: 0, outputTokens: 0 },
    provider: 'none',
    modelVersion: 'none',
    promptHash: '',
  };
  return [
    { type: 'signalled', call, revision: number, name: 'note', payload: number },
    { type: 'decided', call, decision },
    { type: 'tool-result', call: `${call}.0`, toolCallId, tool: 'look', outcome: { ok: true, value: number } },
  ];
}

function conversationOf(items: readonly JournalItem[], contextTurns: number | undefined): Conversation {
  const { digest } = new VirtualHost();
  const unknownTool = (name: string) => ({ code: 'UnknownTool', message: name, reaction: 'terminal' as const });
  return new Conversation({ digest, prompt: 'Begin.', contextTurns, unknownTool }, items);
}

function shownNext(items: readonly JournalItem[], contextTurns: number | undefined) {
  return conversationOf(items, contextTurns).shownBefore(`t${TURNS + 1}`, undefined);
}

describe('a conversation', () => {
  it('is shown whole unless the agent says otherwise', () => {
    expect(shownNext(journal, undefined).messages).toHaveLength(1 + 3 * TURNS);
    expect(holdsContext(journal, undefined)).toBe(false);
  });

  it.each([[1], [2], [3], [4], [5]])('of at least %i turns is the same from all items that hold its context', (contextTurns) => {
    const whole = shownNext(journal, contextTurns);
    const enough = journal.map((_, from) => journal.slice(from)).filter((items) => holdsContext(items, contextTurns));
    expect(enough.length).toBeGreaterThan(0);
    for (const items of enough) expect(shownNext(items, contextTurns)).toEqual(whole);
  });

  it('leaves out several turns at a time, and begins the same in between', () => {
    const conversation = conversationOf([], 3);
    const begins: unknown[] = [];
    for (let number = 1; number <= TURNS; number += 1) {
      const { messages } = conversation.shownBefore(`t${number}`, undefined);
      begins.push(messages.flatMap((message) => (message.role === 'assistant' ? [message.text] : []))[0]);
      const [, decided] = turn(number);
      if (decided?.type === 'decided')
        conversation.rememberTurn(decided.call, undefined, { ...decided.decision, text: decided.call });
    }
    expect(begins).toEqual([undefined, 't1', 't1', 't1', 't1', 't1', 't4', 't4', 't4', 't7', 't7', 't7']);
  });
});
