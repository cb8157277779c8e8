import { z } from 'zod';
import type { Message, ModelPrompt, ModelReply } from './definitions';
import { ANSWERS_MAX, askForOutput, checkedOutput, issuesText } from './structured-output';

const schema = z.object({ total: z.number(), lines: z.array(z.object({ part: z.string() })).default([]) });

describe('an answer of a certain form', () => {
  it.each([
    ['as it is', '{"total":12}'],
    ['in a block of Markdown', '```json\n{"total":12}\n```'],
  ])('is taken %s', async (_, text) => {
    expect(await checkedOutput(text, schema)).toEqual({ ok: true, value: { total: 12, lines: [] } });
  });

  it.each([
    ['names the field that is wrong', '{"total":12,"lines":[{"part":1}]}', 'lines.0.part: '],
    ['says that it is no JSON', 'twelve', 'it is not JSON'],
  ])('that does not fit %s', async (_, text, problem) => {
    expect(await checkedOutput(text, schema)).toMatchObject({ ok: false, problem: expect.stringContaining(problem) as string });
  });

  it('that is wrong in very many ways is told in few words', () => {
    const { error } = schema.safeParse({ total: 1, lines: Array.from({ length: 5_000 }, () => ({})) });
    expect(issuesText(error)).toMatch(/and 4990 more$/);
  });
});

describe('asking for a form', () => {
  const asking = (answers: readonly string[]) => {
    const asked: { call: string; messages: readonly Message[] }[] = [];
    const ask = (call: string, prompt: ModelPrompt): Promise<ModelReply> => {
      asked.push({ call, messages: 'messages' in prompt ? prompt.messages : [] });
      return Promise.resolve({ text: answers[asked.length - 1] ?? '' } as ModelReply);
    };
    return { asked, result: askForOutput('5', { prompt: { prompt: 'how many?' }, output: schema, ask }) };
  };

  it('gives an answer that does not fit back to the model, as a call of its own', async () => {
    const { asked, result } = asking(['twelve', '{"total":12}']);
    expect(await result).toMatchObject({ output: { total: 12 }, text: '{"total":12}' });
    expect(asked.map(({ call }) => call)).toEqual(['5', '5~2']);
    expect(asked[1]?.messages).toMatchObject([
      { role: 'user', text: 'how many?' },
      { role: 'assistant', text: 'twelve' },
      { role: 'user', text: expect.stringContaining('it is not JSON') as string },
    ]);
  });

  it('fails when no answer fits', async () => {
    const { asked, result } = asking([]);
    await expect(result).rejects.toMatchObject({ code: 'InvalidModelOutput', reaction: 'terminal' });
    expect(asked).toHaveLength(ANSWERS_MAX);
  });
});
