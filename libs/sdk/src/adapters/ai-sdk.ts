import { Retryable, Terminal } from '@perdure/kernel';
import type { LanguageModel, ModelMessage, ToolSet } from 'ai';
import type { Message, Model, ModelReply, ModelRequest } from '../engine/definitions';

/**
 * Any language model of the Vercel AI SDK as a model of ours. One call is one step: the SDK's own loop, its
 * retries and its execution of tools stay off, because those are the engine's, and durable there.
 */
export function aiSdkModel(languageModel: LanguageModel): Model {
  const id = typeof languageModel === 'string' ? languageModel : `${languageModel.provider}/${languageModel.modelId}`;
  return { id, generate: (request) => generate(languageModel, request) };
}

async function generate(model: LanguageModel, { instructions, messages, tools, signal }: ModelRequest): Promise<ModelReply> {
  // Loaded when first needed: workers without language models do not pay for it.
  const { generateText, tool: aiTool, APICallError } = await import('ai');
  const toolSet: ToolSet = Object.fromEntries(
    tools.map(({ name, description, input }) => [name, aiTool({ description, inputSchema: input })]),
  );
  try {
    const result = await generateText({
      model,
      ...(instructions === '' ? {} : { system: instructions }),
      messages: messages.map(toModelMessage),
      ...(tools.length === 0 ? {} : { tools: toolSet }),
      maxRetries: 0,
      abortSignal: signal,
    });
    return {
      text: result.text,
      toolCalls: result.toolCalls.map(({ toolCallId, toolName, input }) => ({
        toolCallId,
        tool: toolName,
        args: input as unknown,
      })),
      finishReason: result.finishReason,
      usage: { inputTokens: result.usage.inputTokens ?? 0, outputTokens: result.usage.outputTokens ?? 0 },
      provider: typeof model === 'string' ? 'gateway' : model.provider,
      modelVersion: result.response.modelId,
    };
  } catch (error) {
    if (!APICallError.isInstance(error)) throw error;
    const details = { details: { statusCode: error.statusCode }, cause: error };
    throw error.isRetryable
      ? new Retryable('ModelUnavailable', error.message, details)
      : new Terminal('ModelRefused', error.message, details);
  }
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
      const { toolCallId, tool, outcome } = message;
      const output = outcome.ok
        ? {
            type: 'text' as const,
            value: typeof outcome.value === 'string' ? outcome.value : JSON.stringify(outcome.value ?? null),
          }
        : { type: 'error-text' as const, value: `${outcome.error.code}: ${outcome.error.message}` };
      return { role: 'tool', content: [{ type: 'tool-result', toolCallId, toolName: tool, output }] };
    }
  }
}
