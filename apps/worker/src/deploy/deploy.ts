import { systemHost } from '@perdure/platform-host-node';
import { loadCandidate } from './candidate';
import { checkAll, type CheckReport, type RunsToCheck } from './deploy-check';

/** For the command line: tries a build that is not deployed on every live run. */
export async function check(options: {
  readonly entry: string;
  readonly source: () => Promise<RunsToCheck>;
  readonly budgetMs: number;
}): Promise<CheckReport> {
  const host = systemHost({ service: 'deploy-check', write: () => undefined });
  const candidate = await loadCandidate(options.entry, host.digest);
  return checkAll(await options.source(), { host, candidate, budgetMs: options.budgetMs });
}
