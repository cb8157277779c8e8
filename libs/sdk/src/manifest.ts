import { canonicalJson, Terminal, type Digest } from '@perdure/kernel';
import { buildManifest, type BuildManifest } from '@perdure/tenant-contract';
import { z } from 'zod';
import type { Behaviour, Compensation, Tool } from './engine/definitions';

export interface Offer {
  readonly behaviours: readonly Behaviour[];
  readonly tools: readonly Tool[];
  /** Of the worker: it executes the tools of its own pool, and those that have none. */
  readonly pool: string;
}

/** Whether a worker of the pool executes it; others only name it. */
export function isExecutedIn(pool: string, tool: Tool): boolean {
  return tool.declaredOnly !== true && (tool.pool === undefined || tool.pool === pool);
}

/** Tools of agents and workflows are offered without being named again. @throws Terminal `DuplicateName` */
export function offerOf(given: Offer): Offer {
  const tools = new Set([...given.tools, ...given.behaviours.flatMap((behaviour) => behaviour.tools)]);
  refuseDuplicates(given.behaviours, 'agents and workflows');
  refuseDuplicates([...tools], 'tools');
  return { behaviours: given.behaviours, tools: [...tools], pool: given.pool };
}

function refuseDuplicates(named: readonly { readonly name: string }[], what: string): void {
  const names = new Set<string>();
  for (const { name } of named) {
    if (names.has(name)) throw new Terminal('DuplicateName', `Two ${what} of this worker are named ${name}.`);
    names.add(name);
  }
}

export interface BuildSaid {
  readonly build?: string | undefined;
  readonly compatibleWith?: readonly string[] | undefined;
}

/** What the engine has to know of this build. Its id follows from the code, unless one is given. */
export function manifestOf(offer: Offer, digest: Digest, { build, compatibleWith = [] }: BuildSaid = {}): BuildManifest {
  const tools = offer.tools.map((tool) => manifestOfTool(tool, offer.pool));
  const behaviours = offer.behaviours.map(behaviourManifest);
  const buildId = build ?? `b-${digest.sha256(canonicalJson({ tools, behaviours, code: codeOf(offer) })).slice(0, 32)}`;
  return buildManifest.parse({ buildId, ...(compatibleWith.length === 0 ? {} : { compatibleWith }), behaviours, tools });
}

function manifestOfTool(tool: Tool, workerPool: string): unknown {
  const { name, effect, timeoutMs, retry, input, probe, pool, timeouts, onExhausted, compensation, approval, child, ask } = tool;
  return {
    name,
    effectClass: effect,
    timeoutMs,
    retry,
    inputSchema: jsonSchema(input),
    ...(probe === undefined ? {} : { hasProbe: true }),
    ...(pool === undefined ? {} : { pool }),
    ...(approval === undefined ? {} : { approval }),
    ...(child === undefined ? {} : { child }),
    ...(ask === undefined ? {} : { ask }),
    ...(isExecutedIn(workerPool, tool) ? {} : { declaredOnly: true }),
    ...(timeouts === undefined ? {} : { timeouts }),
    ...(onExhausted === undefined ? {} : { onExhausted }),
    ...(compensation === undefined ? {} : { compensation: declared(compensation) }),
  };
}

function declared({ effect: effectClass, timeoutMs, retry }: Compensation) {
  return { effectClass, timeoutMs, retry };
}

function behaviourManifest(behaviour: Behaviour): unknown {
  const { name, kind, pool, modelRetry } = behaviour;
  const tools = behaviour.tools.map((tool) => tool.name);
  const common = { name, kind, pool, modelRetry, tools, inputSchema: jsonSchema(behaviour.input), limits: behaviour.limits };
  if (behaviour.kind === 'workflow') return common;
  const { model, otherModels, guard, output } = behaviour;
  const others = otherModels.length === 0 ? {} : { otherModels: otherModels.map(({ id }) => id) };
  const form = output === undefined ? {} : { outputSchema: jsonSchema(output) };
  return { ...common, model: model.id, ...others, ...(Object.keys(guard).length === 0 ? {} : { guard }), ...form };
}

function jsonSchema(schema: z.ZodType): unknown {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
}

/** The text of the functions: another text is another build. What they call elsewhere is not seen; name builds in production. */
function codeOf(offer: Offer): readonly string[] {
  const executed = offer.tools.filter((tool) => isExecutedIn(offer.pool, tool));
  return [...offer.behaviours, ...executed].map(({ code }) => code);
}
