import { APICallError, type LanguageModel } from 'ai';
import { z } from 'zod';
import type { Message } from '../engine/definitions';
import { aiSdkModel } from './ai-sdk';

type Generate = Extract<Exclude<LanguageModel, string>, { specificationVersion: 'v3' }>['doGenerate'];

function modelThat(doGenerate: Generate): LanguageModel {
  return {
    specificationVersion: 'v3',
    provider: 'mock',
    modelId: 'mock-1',
    supportedUrls: {},
    doGenerate,
    doStream: () => Promise.reject(new Error('not asked for')),
  };
}

const usage = {
  inputTokens: { total: 7, noCache: 7, cacheRead: undefined, cacheWrite: undefined },
  outputTokens: { total: 3, text: 3, reasoning: undefined },
};
const signal = new AbortController().signal;
const tools = [{ name: 'add', description: 'adds', input: z.object({ a: z.number() }) }];
const messages: readonly Message[] = [
  { role: 'user', text: 'go' },
  { role: 'assistant', text: '', toolCalls: [{ toolCallId: 'c0', tool: 'add', args: { a: 1 } }] },
  { role: 'tool', toolCallId: 'c0', tool: 'add', outcome: { ok: true, value: { sum: 1 } } },
];

describe('a model of the AI SDK', () => {
  it('is called once, executes no tool, and what it decided comes back', async () => {
    const prompts: unknown[] = [];
    const model = aiSdkModel(
      modelThat(async (options) => {
        prompts.push(options.prompt);
        return {
          content: [{ type: 'tool-call', toolCallId: 'c1', toolName: 'add', input: '{"a":2}' }],
          finishReason: { unified: 'tool-calls', raw: undefined },
          usage,
          warnings: [],
        };
      }),
    );
    expect(model.id).toBe('mock/mock-1');
    const reply = await model.generate({ instructions: 'be brief', messages, tools, signal });
    expect(reply).toEqual({
      text: '',
      toolCalls: [{ toolCallId: 'c1', tool: 'add', args: { a: 2 } }],
      finishReason: 'tool-calls',
      usage: { inputTokens: 7, outputTokens: 3 },
      provider: 'mock',
      modelVersion: 'mock-1',
    });
    expect(prompts).toHaveLength(1);
    expect(prompts[0]).toMatchObject([{ role: 'system' }, { role: 'user' }, { role: 'assistant' }, { role: 'tool' }]);
  });

  it.each([
    [{ ok: true, value: { sum: 9 } }, '{"sum":9}'],
    [{ ok: false, error: { code: 'Full', message: 'no room', reaction: 'terminal' } }, 'Full: no room'],
  ] as const)('is told that persons have changed its arguments: %j', async (outcome, text) => {
    const prompts: unknown[] = [];
    const model = aiSdkModel(
      modelThat(async ({ prompt }) => {
        prompts.push(prompt);
        return { content: [], finishReason: { unified: 'stop', raw: undefined }, usage, warnings: [] };
      }),
    );
    const edited = { by: ['grace', 'edsger'], args: { a: 4 } };
    await model.generate({
      instructions: '',
      messages: [{ role: 'tool', toolCallId: 'c0', tool: 'add', outcome, edited }],
      tools,
      signal,
    });
    const value = `grace, edsger approved of this with other arguments than yours: {"a":4}. What became of it:\n${text}`;
    expect(JSON.stringify(prompts[0])).toContain(JSON.stringify(value));
  });

  it.each([
    [429, 'retryable', 'ModelUnavailable'],
    [400, 'terminal', 'ModelRefused'],
  ])('answers %i with a %s error and does not retry by itself', async (statusCode, reaction, code) => {
    let calls = 0;
    const model = aiSdkModel(
      modelThat(() => {
        calls += 1;
        return Promise.reject(new APICallError({ message: 'no', url: 'mock', requestBodyValues: {}, statusCode }));
      }),
    );
    await expect(
      model.generate({ instructions: '', messages: [{ role: 'user', text: 'go' }], tools: [], signal }),
    ).rejects.toMatchObject({ reaction, code });
    expect(calls).toBe(1);
  });

  const prices = { inputPerMillion: 3, outputPerMillion: 15, cachedInputPerMillion: 0.3 };
  const ofCache = { ...usage, inputTokens: { total: 1_000, noCache: 400, cacheRead: 600, cacheWrite: undefined } };
  const answering = (data: Partial<Awaited<ReturnType<Generate>>>) =>
    modelThat(() =>
      Promise.resolve({
        content: [{ type: 'text', text: 'so be it' }],
        finishReason: { unified: 'stop', raw: undefined },
        usage: ofCache,
        warnings: [],
        ...data,
      }),
    );

  it.each<[string, Partial<Awaited<ReturnType<Generate>>>, object | undefined]>([
    ['by the prices, cached input apart, rounded up', {}, { microUsd: 1_425, source: 'prices' }],
    [
      'by its provider, where it says so',
      { providerMetadata: { gateway: { cost: '0.0123' } } },
      { microUsd: 12_300, source: 'provider' },
    ],
  ])('is paid for %s', async (_, data, cost) => {
    const reply = await aiSdkModel(answering(data), { prices }).generate({ instructions: '', messages, tools, signal });
    expect(reply.cost).toEqual(cost);
    expect(reply.usage).toMatchObject({ inputTokens: 1_000, cachedInputTokens: 600 });
  });

  it('has no price of which nobody knows', async () => {
    expect((await aiSdkModel(answering({})).generate({ instructions: '', messages, tools, signal })).cost).toBeUndefined();
  });

  it('is asked for JSON of a form, and what does not have it comes back as it is', async () => {
    let format: unknown;
    const model = aiSdkModel(
      modelThat((options) => {
        format = options.responseFormat;
        return Promise.resolve({
          content: [{ type: 'text', text: '{"total":"twelve"}' }],
          finishReason: { unified: 'stop', raw: undefined },
          usage,
          warnings: [],
        });
      }),
    );
    const reply = await model.generate({
      instructions: '',
      messages,
      tools: [],
      output: z.object({ total: z.number() }),
      signal,
    });
    expect(format).toMatchObject({ type: 'json', schema: { properties: { total: { type: 'number' } } } });
    expect(reply.text).toBe('{"total":"twelve"}');
  });

  it('gives back arguments that do not fit, for the engine to refuse', async () => {
    const content = [{ type: 'tool-call' as const, toolCallId: 'c1', toolName: 'add', input: '{"a":"x"}' }];
    const reply = await aiSdkModel(answering({ content })).generate({ instructions: '', messages, tools, signal });
    expect(reply.toolCalls).toEqual([{ toolCallId: 'c1', tool: 'add', args: { a: 'x' } }]);
  });

  describe('that streams', () => {
    type Stream = Extract<Exclude<LanguageModel, string>, { specificationVersion: 'v3' }>['doStream'];
    type Part = Awaited<ReturnType<Stream>>['stream'] extends ReadableStream<infer P> ? P : never;
    const streaming = (...parts: readonly Part[]): LanguageModel => ({
      ...(modelThat(() => Promise.reject(new Error('not asked for'))) as Exclude<LanguageModel, string> & {
        specificationVersion: 'v3';
      }),
      doStream: () => Promise.resolve({ stream: ReadableStream.from(parts) as ReadableStream<Part> }),
    });
    const text = (delta: string): Part => ({ type: 'text-delta', id: '1', delta });
    const begin: Part[] = [
      { type: 'stream-start', warnings: [] },
      { type: 'text-start', id: '1' },
    ];
    const end: Part[] = [
      { type: 'text-end', id: '1' },
      { type: 'finish', usage: ofCache, finishReason: { unified: 'stop', raw: undefined } },
    ];
    const request = { instructions: '', messages, tools: [], signal };

    it('yields its text piece by piece, and returns what else there is to say', async () => {
      const pieces: string[] = [];
      const replying = aiSdkModel(streaming(...begin, text('so '), text('be it'), ...end), { prices }).stream?.(request);
      for (;;) {
        const next = await replying?.next();
        if (next === undefined || next.done === true) {
          expect(next?.value).toMatchObject({ toolCalls: [], finishReason: 'stop', cost: { microUsd: 1_425, source: 'prices' } });
          break;
        }
        pieces.push(next.value);
      }
      expect(pieces).toEqual(['so ', 'be it']);
    });

    it('fails as the other call does when it breaks off', async () => {
      const error = new APICallError({ message: 'no', url: 'mock', requestBodyValues: {}, statusCode: 429 });
      const replying = aiSdkModel(streaming(...begin, text('so '), { type: 'error', error })).stream?.(request);
      expect(await replying?.next()).toEqual({ done: false, value: 'so ' });
      await expect(replying?.next()).rejects.toMatchObject({ code: 'ModelUnavailable', reaction: 'retryable' });
    });

    it('asks for JSON of a form, and leaves it to the engine whether that is what came, as with arguments', async () => {
      const call: Part = { type: 'tool-call', toolCallId: 'c1', toolName: 'add', input: '{"a":"x"}' };
      const output = z.object({ total: z.number() });
      const replying = aiSdkModel(streaming(...begin, text('{"total":"twelve"}'), call, ...end)).stream?.({
        ...request,
        tools,
        output,
      });
      expect(await replying?.next()).toEqual({ done: false, value: '{"total":"twelve"}' });
      expect(await replying?.next()).toMatchObject({
        done: true,
        value: { toolCalls: [{ toolCallId: 'c1', tool: 'add', args: { a: 'x' } }] },
      });
    });

    it('does not where its provider cannot', () => {
      expect(aiSdkModel(streaming(), { stream: false }).stream).toBeUndefined();
    });
  });
});
