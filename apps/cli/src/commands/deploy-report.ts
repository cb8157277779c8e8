import { duration, pc, say } from '../paint';
import type { CheckReport } from './elsewhere';

/** Run ids shown of one group; `--json` tells them all. */
const RUNS_SHOWN = 5;
const UNCHECKED_SHOWN = 10;

/** Whether every live run goes on under the candidate as it does now, and every one was tried. */
export function isClean({ different, unchecked, outOfTime }: CheckReport): boolean {
  return different.length === 0 && unchecked.length === 0 && outOfTime === 0;
}

export function showReport(report: CheckReport): void {
  const { candidate, total, different, same, elsewhere, tookMs } = report;
  say(
    `${pc.bold('deploy check')} ${pc.dim(`of ${Object.values(candidate).join(', ')} against ${total} live runs, ${duration(tookMs)}`)}`,
  );
  for (const group of different) showGroup(group);
  if (same > 0) say(`${pc.green('✓')} ${same} go on as they do`);
  if (elsewhere > 0) say(`${pc.dim('·')} ${elsewhere} are of pools that this build does not serve`);
  showCoverage(report);
}

function showGroup({ name, kind, buildId, at, runIds }: CheckReport['different'][number]): void {
  const under = buildId === undefined ? '' : pc.dim(` begun under ${buildId}`);
  const where = at.position === undefined ? at.call : `${at.call} (position ${at.position})`;
  say(`${pc.red('✗')} ${pc.bold(`${runIds.length} of ${kind} ${name}`)}${under} differ at call ${where}`);
  say(`    ${pc.dim('expected')} ${at.expected}`);
  say(`    ${pc.dim('found')}    ${at.found}`);
  const more = runIds.length > RUNS_SHOWN ? ` and ${runIds.length - RUNS_SHOWN} more (--json names all)` : '';
  say(`    ${pc.dim(`${runIds.slice(0, RUNS_SHOWN).join(' ')}${more}`)}`);
}

function showCoverage({ total, checked, ended, repeated, unchecked, outOfTime }: CheckReport): void {
  for (const { runId, why } of unchecked.slice(0, UNCHECKED_SHOWN)) say(`${pc.yellow('!')} ${runId} was not checked: ${why}`);
  if (unchecked.length > UNCHECKED_SHOWN) say(pc.yellow(`! and ${unchecked.length - UNCHECKED_SHOWN} more`));
  if (outOfTime > 0) say(pc.yellow(`! ${outOfTime} were not checked: the time was up. Give more with --budget.`));
  const over = ended === 0 ? '' : `, ${ended} ended meanwhile`;
  say(pc.dim(`coverage ${checked} of ${total - ended}${over}; ${checked - repeated} different states`));
}
