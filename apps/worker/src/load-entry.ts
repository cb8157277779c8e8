import { existsSync, readFileSync } from 'node:fs';
import { extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Terminal } from '@perdure/kernel';
import type { Behaviour, Tool } from '@perdure/sdk';

/** What the compiler is told: the same target as the product itself. */
const SWC = {
  swcrc: false,
  jsc: { target: 'es2023', parser: { syntax: 'typescript' } },
  module: { type: 'commonjs' },
  sourceMaps: 'inline',
} as const;

type Extensions = Record<string, (module: { _compile(code: string, path: string): void }, path: string) => void>;

/** Lets `require` read TypeScript, types stripped and not checked: as quick as a script, checked by the author's own tools. */
function readTypeScript(): void {
  const extensions = require.extensions as unknown as Extensions;
  const compile: Extensions[string] = (module, path) => {
    const { transformSync } = require('@swc/core') as typeof import('@swc/core');
    module._compile(transformSync(readFileSync(path, 'utf8'), { ...SWC, filename: path }).code, path);
  };
  extensions['.ts'] = compile;
  extensions['.cts'] = compile;
}

/** What a file exports. */
export interface Entry {
  readonly behaviours: readonly Behaviour[];
  readonly tools: readonly Tool[];
}

/**
 * The agents, workflows and tools that a file exports: one by one, as a list, or as its default export.
 * @throws Terminal `EntryMissing`, `EntryBroken`, `EntryEmpty`
 */
export async function loadEntry(file: string): Promise<Entry> {
  const path = resolve(file);
  if (!existsSync(path))
    throw new Terminal(
      'EntryMissing',
      `There is no file ${path}. Give --entry the .js or .ts file that exports your agents, workflows and tools.`,
    );
  const found = offeredIn(await load(path));
  if (found.behaviours.length === 0 && found.tools.length === 0) {
    throw new Terminal(
      'EntryEmpty',
      `${path} exports no agent, no workflow and no tool. Export what agent(), workflow() or tool() of @perdure/sdk returned, or a list of them.`,
    );
  }
  return found;
}

async function load(path: string): Promise<unknown> {
  try {
    if (extname(path) === '.mjs') return await import(pathToFileURL(path).href);
    readTypeScript();
    return require(path) as unknown;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ERR_REQUIRE_ESM') return import(pathToFileURL(path).href);
    throw new Terminal(
      'EntryBroken',
      `${path} cannot be loaded: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}`,
      { cause: thrown },
    );
  }
}

/** Each once, though it may be exported in several ways. */
function offeredIn(exported: unknown): Entry {
  const behaviours = new Set<Behaviour>();
  const tools = new Set<Tool>();
  const visit = (value: unknown, depth: number): void => {
    const kind = kindOf(value);
    if (kind === 'agent' || kind === 'workflow') behaviours.add(value as Behaviour);
    else if (kind === 'tool') tools.add(value as Tool);
    else if (depth > 0 && value !== null && typeof value === 'object')
      for (const each of Object.values(value)) visit(each, depth - 1);
  };
  // Module, default export of a module that was compiled, list.
  visit(exported, 3);
  return { behaviours: [...behaviours], tools: [...tools] };
}

function kindOf(value: unknown): unknown {
  const { kind, name } = (value ?? {}) as { readonly kind?: unknown; readonly name?: unknown };
  return typeof name === 'string' ? kind : undefined;
}

/** The pools that the entry has something for: of its agents and workflows, and of the tools that it executes. */
export function poolsOf({ behaviours, tools }: Entry): readonly string[] {
  const executed = tools.flatMap(({ pool, declaredOnly }) => (pool === undefined || declaredOnly === true ? [] : [pool]));
  const pools = new Set([...behaviours.map(({ pool }) => pool), ...executed]);
  return pools.size === 0 ? ['default'] : [...pools];
}

/** What a worker of the pool hosts; tools without a pool are executed by whoever holds the run. */
export function entryOf(pool: string, { behaviours, tools }: Entry): Entry {
  const own = behaviours.filter((behaviour) => behaviour.pool === pool);
  return { behaviours: own, tools: tools.filter((tool) => tool.pool === undefined || tool.pool === pool) };
}
