import type { Model, ModelReply, ModelRequest } from './engine/definitions';

/** What a rule decides: a text, or an output of the form that was asked for, ends the loop; tool calls go on. */
export type RuleDecision =
  | string
  | { readonly output: unknown }
  | { readonly text?: string; readonly toolCalls?: readonly { readonly tool: string; readonly args: unknown }[] };

export interface RuleModelOptions {
  /** How its text comes: in these pieces, which together are the text. Without it, it comes whole. */
  pieces?(text: string): Iterable<string> | AsyncIterable<string>;
}

/** A model without a provider and without a key: rules written in code. For examples, tests and fixed procedures. */
export function ruleModel(
  id: string,
  rule: (request: ModelRequest) => RuleDecision | Promise<RuleDecision>,
  { pieces }: RuleModelOptions = {},
): Model {
  const generate = async (request: ModelRequest): Promise<ModelReply> => replyOf(id, request, await rule(request));
  if (pieces === undefined) return { id, generate };
  return {
    id,
    generate,
    stream: async function* (request) {
      const { text, ...rest } = await generate(request);
      yield* pieces(text);
      return rest;
    },
  };
}

function replyOf(id: string, request: ModelRequest, decided: RuleDecision): ModelReply {
  const { text = '', toolCalls = [] } =
    typeof decided === 'string' ? { text: decided } : 'output' in decided ? { text: JSON.stringify(decided.output) } : decided;
  const turn = newestTurn(request.messages) + 1;
  return {
    text,
    toolCalls: toolCalls.map(({ tool, args }, index) => ({ toolCallId: `rule-${turn}-${index}`, tool, args })),
    finishReason: toolCalls.length === 0 ? 'stop' : 'tool-calls',
    usage: { inputTokens: 0, outputTokens: 0 },
    cost: { microUsd: 0, source: 'provider' },
    provider: 'rule',
    modelVersion: id,
  };
}

/** By the ids given out, since a model need not be shown all turns. */
function newestTurn(messages: ModelRequest['messages']): number {
  const newest = messages.findLast((message) => message.role === 'assistant' && message.toolCalls.length > 0);
  const [, turn] = newest?.role === 'assistant' ? (newest.toolCalls[0]?.toolCallId.split('-') ?? []) : [];
  return Number(turn ?? 0) || 0;
}
