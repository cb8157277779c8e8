import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { once } from 'node:events';
import { PerdureError } from '@perdure/kernel';
import { BadUsage, EXIT } from '../cli.errors';
import type { GatewayClient } from '../gateway-client';
import { note, pc, say } from '../paint';
import { isClean, showReport } from './deploy-report';
import { checkBuild, type RunSource, type UnreadRun } from './elsewhere';
import { clientOf, type CommonOptions } from './run';

/** What a new build would make of the runs that live now. */

/** Documents that are fetched at once: the gateway folds each from its newest snapshot. */
const FETCHES_AT_ONCE = 8;
const BUDGET_DEFAULT = '60s';
const UNIT_MS = { ms: 1, s: 1_000, m: 60_000 } as const;

export async function checkDeploy(
  entry: string,
  options: CommonOptions & { readonly export?: string; readonly budget?: string },
): Promise<number> {
  if (!existsSync(entry))
    throw new BadUsage(`There is no file ${entry}. Give the .js or .ts file that exports your agents and workflows.`);
  const budgetMs = durationMs(options.budget ?? BUDGET_DEFAULT);
  const source = options.export === undefined ? fromGateway(clientOf(options)) : fromFile(options.export);
  const report = await checkBuild({ entry, source, budgetMs });
  if (options.json) say(JSON.stringify({ ...report, clean: isClean(report) }));
  else showReport(report);
  return isClean(report) ? EXIT.ok : EXIT.failed;
}

export async function exportDeploy(options: CommonOptions & { readonly to: string }): Promise<number> {
  const { total, runs } = await fromGateway(clientOf(options))();
  const out = options.to === '-' ? process.stdout : createWriteStream(options.to);
  let written = 0;
  for await (const line of runs) {
    if (typeof line !== 'string') {
      note(pc.yellow(`! ${line.runId} was not read: ${line.problem}`));
      continue;
    }
    written += 1;
    if (!out.write(`${line}\n`)) await once(out, 'drain');
  }
  if (out !== process.stdout) await new Promise<void>((resolve) => out.end(resolve));
  if (!options.json) note(pc.dim(`${written} of ${total} live runs`));
  else note(JSON.stringify({ runs: total, written }));
  return written === total ? EXIT.ok : EXIT.failed;
}

function fromFile(file: string): RunSource {
  return async () => {
    if (!existsSync(file)) throw new BadUsage(`There is no file ${file}. \`perdure deploy export --to FILE\` writes one.`);
    const lines: string[] = [];
    for await (const line of createInterface({ input: createReadStream(file) })) if (line.trim() !== '') lines.push(line);
    return { total: lines.length, runs: each(lines) };
  };
}

async function* each(lines: readonly string[]): AsyncGenerator<string> {
  yield* lines;
}

function fromGateway(client: GatewayClient): RunSource {
  return async () => {
    const ids: string[] = [];
    for (let after: string | undefined = ''; after !== undefined;) {
      const page: Awaited<ReturnType<GatewayClient['liveRuns']>> = await client.liveRuns(after);
      if (!page.complete)
        throw new PerdureError('GatewayStarting', 'retryable', 'The gateway still reads the log. Ask again shortly.');
      ids.push(...page.runs.map(({ runId }) => runId));
      after = page.next;
    }
    return { total: ids.length, runs: fetched(client, ids) };
  };
}

/** In the order of the ids, several under way. */
async function* fetched(client: GatewayClient, ids: readonly string[]): AsyncGenerator<string | UnreadRun> {
  const underWay: Promise<string | UnreadRun>[] = [];
  let next = 0;
  const begin = (): void => {
    const runId = ids[next];
    next += 1;
    if (runId !== undefined) underWay.push(recordedOf(client, runId));
  };
  for (let count = 0; count < FETCHES_AT_ONCE; count += 1) begin();
  for (let first = underWay.shift(); first !== undefined; first = underWay.shift()) {
    const line = await first;
    begin();
    yield line;
  }
}

async function recordedOf(client: GatewayClient, runId: string): Promise<string | UnreadRun> {
  try {
    return JSON.stringify(await client.recorded(runId));
  } catch (thrown) {
    if (!(thrown instanceof PerdureError)) throw thrown;
    return { runId, problem: `${thrown.code}: ${thrown.message}`, ended: thrown.code === 'RunAlreadyEnded' };
  }
}

function durationMs(given: string): number {
  const [, count, unit] = /^(\d{1,9})(ms|s|m)$/.exec(given) ?? [];
  if (count === undefined) throw new BadUsage(`--budget wants a duration such as 60s, 500ms or 2m; got "${given}".`);
  return Number(count) * UNIT_MS[unit as keyof typeof UNIT_MS];
}
