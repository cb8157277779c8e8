import Table from 'cli-table3';
import { EXIT } from '../cli.errors';
import type { BuildLine } from '../gateway-client';
import { ago, clip, note, pc, say } from '../paint';
import { clientOf, NO_LINES, type CommonOptions } from './run';

/** Which builds there are, and which of them are still needed. */

const STANDING: Readonly<Record<BuildLine['standing'], (text: string) => string>> = {
  current: pc.green,
  draining: pc.yellow,
  stranded: pc.red,
  drained: pc.gray,
};
const NAMES_WIDTH = 40;

export async function listBuilds(options: CommonOptions): Promise<number> {
  const list = await clientOf(options).builds();
  if (options.json) {
    say(JSON.stringify(list));
    return EXIT.ok;
  }
  if (!list.complete) note(pc.yellow('The gateway has just started: it has not heard of every run and worker yet.'));
  if (list.builds.length === 0) {
    say(pc.dim('No worker has registered a build. Start a stack with workers: ./perdure dev --entry FILE'));
    return EXIT.ok;
  }
  const head = ['build', 'standing', 'workers', 'pinned runs', 'registered', 'hosts'].map((title) => pc.dim(title));
  const table = new Table({ head, chars: NO_LINES, style: { head: [], border: [], 'padding-left': 0, 'padding-right': 3 } });
  for (const { buildId, standing, workers, runs, registeredAtMs, hosts } of list.builds)
    table.push([
      buildId,
      STANDING[standing](standing),
      workers.length,
      runs,
      ago(registeredAtMs),
      clip(hosts.join(', '), NAMES_WIDTH),
    ]);
  say(table.toString());
  const stranded = list.builds.filter(({ standing }) => standing === 'stranded');
  for (const { buildId, runs } of stranded) {
    say(
      `${pc.red('!')} ${runs} ${runs === 1 ? 'run waits' : 'runs wait'} for a worker of ${pc.bold(buildId)}, and none is connected.`,
    );
    say(pc.dim(`  Start that build again, or let another go on: ./perdure run repin <run> --build B`));
  }
  return EXIT.ok;
}

export async function repinRun(
  runId: string,
  options: CommonOptions & { readonly build: string; readonly reason?: string },
): Promise<number> {
  const client = clientOf(options);
  await client.repin(runId, options.build, options.reason);
  if (options.json) {
    say(JSON.stringify({ runId, buildId: options.build }));
    return EXIT.ok;
  }
  say(`${pc.green('⇄')} ${pc.bold(runId)} goes on with ${pc.bold(options.build)} from its next activation on`);
  if ((await client.get(runId)).status === 'paused') say(pc.dim(`  It is paused: ./perdure run resume ${runId}`));
  return EXIT.ok;
}
