import { existsSync, readFileSync } from 'node:fs';
import { extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Terminal } from '@perdure/kernel';
import type { Behaviour } from '@perdure/sdk';

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

/**
 * The agents and workflows that a file exports: one by one, as a list, or as its default export.
 * @throws Terminal `EntryMissing`, `EntryBroken`, `EntryEmpty`
 */
export async function loadEntry(file: string): Promise<readonly Behaviour[]> {
  const path = resolve(file);
  if (!existsSync(path))
    throw new Terminal(
      'EntryMissing',
      `There is no file ${path}. Give --entry the .js or .ts file that exports your agents and workflows.`,
    );
  const found = behavioursIn(await load(path));
  if (found.length === 0) {
    throw new Terminal(
      'EntryEmpty',
      `${path} exports no agent and no workflow. Export what agent() or workflow() of @perdure/sdk returned, or a list of them.`,
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
function behavioursIn(exported: unknown): readonly Behaviour[] {
  const found = new Set<Behaviour>();
  const visit = (value: unknown, depth: number): void => {
    if (isBehaviour(value)) found.add(value);
    else if (depth > 0 && value !== null && typeof value === 'object')
      for (const each of Object.values(value)) visit(each, depth - 1);
  };
  // Module, default export of a module that was compiled, list.
  visit(exported, 3);
  return [...found];
}

function isBehaviour(value: unknown): value is Behaviour {
  const kind = (value as { readonly kind?: unknown } | null)?.kind;
  return (kind === 'agent' || kind === 'workflow') && typeof (value as { readonly name?: unknown }).name === 'string';
}
