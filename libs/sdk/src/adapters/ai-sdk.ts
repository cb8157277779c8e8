import { Retryable, Terminal } from '@perdure/kernel';
import type { EditedUse, ModelCost } from '@perdure/run-contract';
import type { APICallError, LanguageModel, LanguageModelUsage, ModelMessage, Output, ToolSet } from 'ai';
import type { Message, Model, ModelReply, ModelRequest } from '../engine/definitions';

/** US dollars for a million tokens. */
export interface ModelPrices {
  readonly inputPerMillion: number;
  readonly outputPerMillion: number;
  /** Of input that the provider had cached; default: as other input. */
  readonly cachedInputPerMillion?: number;
}

export interface AiSdkModelOptions {
  /** What a call costs where the provider does not say so itself. */
  readonly prices?: ModelPrices;
  /** False for a provider that cannot stream: its text is read when it is whole. */
  readonly stream?: boolean;
}

/**
 * Any language model of the Vercel AI SDK as a model of ours. One call is one step: the SDK's own loop, its
 * retries and its execution of tools stay off, because those are the engine's, and durable there.
 */
export function aiSdkModel(languageModel: LanguageModel, options: AiSdkModelOptions = {}): Model {
  const id = typeof languageModel === 'string' ? languageModel : `${languageModel.provider}/${languageModel.modelId}`;
  const given = { model: languageModel, ...options };
  const model: Model = { id, generate: (request) => generate(given, request) };
  return options.stream === false ? model : { ...model, stream: (request) => stream(given, request) };
}

interface Given extends AiSdkModelOptions {
  readonly model: LanguageModel;
}

async function generate(given: Given, request: ModelRequest): Promise<ModelReply> {
  // Loaded when first needed: workers without language models do not pay for it.
  const { generateText, APICallError: errors } = await import('ai');
  try {
    const answer = await generateText(await callOf(given, request));
    return { ...replyOf(given, answer), text: answer.text };
  } catch (error) {
    throw typed(error, errors);
  }
}

async function* stream(given: Given, request: ModelRequest): AsyncGenerator<string, Omit<ModelReply, 'text'>, undefined> {
  const { streamText, APICallError: errors } = await import('ai');
  // Errors come as parts of the stream; by default they are printed, too.
  const result = streamText({ ...(await callOf(given, request)), onError: () => undefined });
  try {
    for await (const part of result.fullStream) {
      if (part.type === 'text-delta') yield part.text;
      else if (part.type === 'error') throw part.error;
      else if (part.type === 'abort') throw request.signal.reason;
    }
    const [toolCalls, finishReason, usage] = await Promise.all([result.toolCalls, result.finishReason, result.usage]);
    const [response, providerMetadata] = await Promise.all([result.response, result.providerMetadata]);
    return replyOf(given, { toolCalls, finishReason, usage, response, providerMetadata });
  } catch (error) {
    throw typed(error, errors);
  }
}

async function callOf({ model }: Given, { instructions, messages, tools, output, signal }: ModelRequest) {
  const { Output: outputs, tool: aiTool } = await import('ai');
  const toolSet: ToolSet = Object.fromEntries(
    tools.map(({ name, description, input }) => [name, aiTool({ description, inputSchema: input })]),
  );
  // The form is asked for here and checked by the engine, which tells the model what is wrong and asks again.
  const unchecked = { parseCompleteOutput: ({ text }: { readonly text: string }) => Promise.resolve(text) };
  const form: Output.Output<unknown> | undefined =
    output === undefined ? undefined : { ...outputs.object({ schema: output }), ...unchecked };
  return {
    model,
    ...(instructions === '' ? {} : { system: instructions }),
    messages: messages.map(toModelMessage),
    ...(tools.length === 0 ? {} : { tools: toolSet }),
    ...(form === undefined ? {} : { output: form }),
    maxRetries: 0,
    abortSignal: signal,
  };
}

interface Answer {
  readonly toolCalls: readonly { readonly toolCallId: string; readonly toolName: string; readonly input: unknown }[];
  readonly finishReason: string;
  readonly usage: LanguageModelUsage;
  readonly response: { readonly modelId: string };
  readonly providerMetadata: unknown;
}

function replyOf({ model, prices }: Given, answer: Answer): Omit<ModelReply, 'text'> {
  const { inputTokens = 0, outputTokens = 0, inputTokenDetails, outputTokenDetails } = answer.usage;
  const { cacheReadTokens } = inputTokenDetails;
  const { reasoningTokens } = outputTokenDetails;
  const cost = costOf(answer, prices);
  return {
    toolCalls: answer.toolCalls.map(({ toolCallId, toolName, input }) => ({ toolCallId, tool: toolName, args: input })),
    finishReason: answer.finishReason,
    usage: {
      inputTokens,
      outputTokens,
      ...(cacheReadTokens === undefined ? {} : { cachedInputTokens: cacheReadTokens }),
      ...(reasoningTokens === undefined ? {} : { reasoningTokens }),
    },
    ...(cost === undefined ? {} : { cost }),
    provider: typeof model === 'string' ? 'gateway' : model.provider,
    modelVersion: answer.response.modelId,
  };
}

/** Rounded up: a sum of many small calls is never less than what they cost. */
function costOf({ usage, providerMetadata }: Answer, prices: ModelPrices | undefined): ModelCost | undefined {
  const said = costSaid(providerMetadata);
  if (said !== undefined) return { microUsd: Math.ceil(said * 1_000_000), source: 'provider' };
  if (prices === undefined) return undefined;
  const { inputPerMillion, outputPerMillion, cachedInputPerMillion = inputPerMillion } = prices;
  const { inputTokens = 0, outputTokens = 0 } = usage;
  const cached = Math.min(inputTokens, usage.inputTokenDetails.cacheReadTokens ?? 0);
  // Dollars for a million tokens are millionths of a dollar for one.
  const microUsd = (inputTokens - cached) * inputPerMillion + cached * cachedInputPerMillion + outputTokens * outputPerMillion;
  return { microUsd: Math.ceil(microUsd), source: 'prices' };
}

/** In dollars, as the gateway of the AI SDK and OpenRouter say it. */
function costSaid(providerMetadata: unknown): number | undefined {
  const { gateway, openrouter } = (providerMetadata ?? {}) as {
    readonly gateway?: { readonly cost?: unknown };
    readonly openrouter?: { readonly usage?: { readonly cost?: unknown } };
  };
  const said = gateway?.cost ?? openrouter?.usage?.cost;
  const cost = typeof said === 'string' ? Number.parseFloat(said) : said;
  return typeof cost === 'number' && Number.isFinite(cost) && cost >= 0 ? cost : undefined;
}

function typed(error: unknown, errors: typeof APICallError): unknown {
  if (!errors.isInstance(error)) return error;
  const details = { details: { statusCode: error.statusCode }, cause: error };
  return error.isRetryable
    ? new Retryable('ModelUnavailable', error.message, details)
    : new Terminal('ModelRefused', error.message, details);
}

/** Else the model would take what became of it for the result of its own arguments. */
function editedNote({ by, args }: EditedUse): string {
  return `${by.join(', ')} approved of this with other arguments than yours: ${JSON.stringify(args)}. What became of it:\n`;
}

function toModelMessage(message: Message): ModelMessage {
  switch (message.role) {
    case 'user':
      return { role: 'user', content: message.text };
    case 'assistant':
      return {
        role: 'assistant',
        content: [
          ...(message.text === '' ? [] : [{ type: 'text' as const, text: message.text }]),
          ...message.toolCalls.map(({ toolCallId, tool, args }) => ({
            type: 'tool-call' as const,
            toolCallId,
            toolName: tool,
            input: args,
          })),
        ],
      };
    case 'tool': {
      const { toolCallId, tool, outcome, edited } = message;
      const note = edited === undefined ? '' : editedNote(edited);
      const output = outcome.ok
        ? {
            type: 'text' as const,
            value: `${note}${typeof outcome.value === 'string' ? outcome.value : JSON.stringify(outcome.value ?? null)}`,
          }
        : { type: 'error-text' as const, value: `${note}${outcome.error.code}: ${outcome.error.message}` };
      return { role: 'tool', content: [{ type: 'tool-result', toolCallId, toolName: tool, output }] };
    }
  }
}
