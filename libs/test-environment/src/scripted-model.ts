import { Terminal } from '@perdure/kernel';
import { ruleModel, type Behaviour, type Model, type ModelRequest, type RuleDecision } from '@perdure/sdk';

/** One reply of a script, or how it follows from what the model is shown. */
export type ScriptedReply = RuleDecision | ((request: ModelRequest) => RuleDecision | Promise<RuleDecision>);

/**
 * A model that says what is written down: its first reply, then its second, by how often it has spoken in the conversation that it is
 * shown. So each run hears the script from its beginning, and a call that is repeated after a crash is answered as before.
 */
export function scriptedModel(id: string, replies: readonly ScriptedReply[]): Model {
  return ruleModel(id, (request) => {
    const spoken = request.messages.filter(({ role }) => role === 'assistant').length;
    const reply = replies[spoken];
    if (reply === undefined)
      throw new Terminal('ScriptIsOver', `The script of ${id} has ${replies.length} replies; it was asked for one more.`);
    return typeof reply === 'function' ? reply(request) : reply;
  });
}

/** @throws Terminal `NoSuchModel` when no agent has a model with that id */
export function withModels(behaviours: readonly Behaviour[], models: readonly Model[]): readonly Behaviour[] {
  const instead = new Map(models.map((model) => [model.id, model]));
  const unused = new Set(instead.keys());
  const given = (model: Model): Model => {
    unused.delete(model.id);
    return instead.get(model.id) ?? model;
  };
  const changed = behaviours.map((behaviour) =>
    behaviour.kind === 'agent'
      ? { ...behaviour, model: given(behaviour.model), otherModels: behaviour.otherModels.map(given) }
      : behaviour,
  );
  if (unused.size === 0) return changed;
  throw new Terminal('NoSuchModel', `No agent here has a model with the id ${[...unused].join(', ')}.`);
}
