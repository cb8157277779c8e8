import type { Model, ModelReply, ModelRequest } from './engine/definitions';

/** What a rule decides: a text ends the loop, tool calls go on. */
export type RuleDecision =
  string | { readonly text?: string; readonly toolCalls?: readonly { readonly tool: string; readonly args: unknown }[] };

/** A model without a provider and without a key: rules written in code. For examples, tests and fixed procedures. */
export function ruleModel(id: string, rule: (request: ModelRequest) => RuleDecision | Promise<RuleDecision>): Model {
  return {
    id,
    generate: async (request): Promise<ModelReply> => {
      const decided = await rule(request);
      const { text = '', toolCalls = [] } = typeof decided === 'string' ? { text: decided } : decided;
      const turn = request.messages.filter((message) => message.role === 'assistant').length + 1;
      return {
        text,
        toolCalls: toolCalls.map(({ tool, args }, index) => ({ toolCallId: `rule-${turn}-${index}`, tool, args })),
        finishReason: toolCalls.length === 0 ? 'stop' : 'tool-calls',
        usage: { inputTokens: 0, outputTokens: 0 },
        provider: 'rule',
        modelVersion: id,
      };
    },
  };
}
