import { manifestOf, offerOf, type Agent, type Tool, type Workflow } from '@perdure/sdk';
import type { Digest } from '@perdure/kernel';
import { loadEntry, type Entry } from '../load-entry';

/** What is not deployed yet, as its entry file exports it: for each pool a build of its own. */
export interface CandidateBuild {
  /** By pool. */
  readonly buildIds: Readonly<Record<string, string>>;
  readonly agents: ReadonlyMap<string, Agent>;
  readonly workflows: ReadonlyMap<string, Workflow>;
  readonly tools: ReadonlyMap<string, Tool>;
}

export async function loadCandidate(file: string, digest: Digest): Promise<CandidateBuild> {
  return candidateOf(await loadEntry(file), digest);
}

export function candidateOf({ behaviours, tools: given }: Entry, digest: Digest): CandidateBuild {
  const agents = behaviours.filter((behaviour) => behaviour.kind === 'agent');
  const workflows = behaviours.filter((behaviour) => behaviour.kind === 'workflow');
  const pools = [...new Set(behaviours.map(({ pool }) => pool))];
  const offers = pools.map((pool) => offerOf({ pool, tools: given, behaviours: behaviours.filter((one) => one.pool === pool) }));
  const tools = offers.flatMap((offer) => offer.tools);
  return {
    buildIds: Object.fromEntries(offers.map((offer) => [offer.pool, manifestOf(offer, digest).buildId])),
    agents: new Map(agents.map((agent) => [agent.name, agent])),
    workflows: new Map(workflows.map((workflow) => [workflow.name, workflow])),
    tools: new Map(tools.map((tool) => [tool.name, tool])),
  };
}
