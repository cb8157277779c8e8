import { aiSdkModel, type Model } from '@perdure/sdk';
import { auditorByRule } from './auditor.model';

const OPENAI_URL = 'https://api.openai.com/v1';
const MODEL_DEFAULT = 'gpt-4o-mini';

/**
 * A language model when one is configured, rules otherwise.
 * PERDURE_MODEL_BASE_URL (or OPENAI_BASE_URL) names anything that speaks OpenAI's protocol; PERDURE_MODEL_API_KEY
 * (or OPENAI_API_KEY) is its key; PERDURE_MODEL is the model's name.
 */
export function configuredModel(env: NodeJS.ProcessEnv): Model {
  const apiKey = env.PERDURE_MODEL_API_KEY ?? env.OPENAI_API_KEY;
  const baseURL = env.PERDURE_MODEL_BASE_URL ?? env.OPENAI_BASE_URL ?? (apiKey === undefined ? undefined : OPENAI_URL);
  if (baseURL === undefined) return auditorByRule();
  const name = env.PERDURE_MODEL ?? MODEL_DEFAULT;
  let loaded: Promise<Model> | undefined;
  const load = async (): Promise<Model> => {
    const { createOpenAICompatible } = await import('@ai-sdk/openai-compatible');
    return aiSdkModel(
      createOpenAICompatible({ name: 'openai-compatible', baseURL, ...(apiKey === undefined ? {} : { apiKey }) })(name),
    );
  };
  return {
    id: `openai-compatible/${name}`,
    generate: async (request) => (await (loaded ??= load())).generate(request),
    stream: async function* (request) {
      const model = await (loaded ??= load());
      if (model.stream !== undefined) return yield* model.stream(request);
      const { text, ...rest } = await model.generate(request);
      yield text;
      return rest;
    },
  };
}
