import { BadUsage, EXIT } from '../cli.errors';
import { durationOf } from '../durations';
import { pc, say, note } from '../paint';
import { clientOf, jsonOf, wholeNumber, type CommonOptions } from './run';

export interface BulkOptions extends CommonOptions {
  readonly filter: string;
  readonly signal?: string;
  readonly payload?: string;
  readonly reason?: string;
  readonly limit?: string;
  readonly id?: string;
  readonly dryRun?: boolean;
}

const VERBS = ['pause', 'resume', 'cancel', 'terminate', 'signal'];

export async function bulkRuns(verb: string, options: BulkOptions): Promise<number> {
  if (!VERBS.includes(verb)) throw new BadUsage(`bulk wants one of ${VERBS.join(', ')}; got "${verb}".`);
  const { signal, payload, reason, limit, id, dryRun = false } = options;
  const report = await clientOf(options).bulk({
    verb,
    filter: filterOf(options.filter),
    dryRun,
    reason,
    id,
    limit: limit === undefined ? undefined : wholeNumber(limit, '--limit'),
    signal:
      signal === undefined ? undefined : { name: signal, payload: payload === undefined ? null : jsonOf(payload, '--payload') },
  });
  const refused = report.results.filter(({ did }) => did === 'refused');
  if (options.json) say(JSON.stringify(report));
  else {
    if (!report.complete) note(pc.yellow('The gateway is still reading the log: some runs are not known yet.'));
    for (const { runId, name, did, code, message } of report.results)
      say(
        `${did === 'refused' ? pc.red(did) : did}  ${runId} ${pc.dim(name)}${code === undefined ? '' : ` ${code}: ${message}`}`,
      );
    const left = report.matched - report.results.length;
    say(
      pc.dim(
        `${report.results.length} of ${report.matched} runs${left > 0 ? `; ask again for the other ${left}` : ''}; id ${report.id}`,
      ),
    );
  }
  return refused.length === 0 ? EXIT.ok : EXIT.failed;
}

/** @throws BadUsage */
export function filterOf(text: string): { readonly status?: string; readonly name?: string; readonly olderThanMs?: number } {
  const filter: { status?: string; name?: string; olderThanMs?: number } = {};
  for (const part of text.split(',')) {
    const [key = '', ...rest] = part.split('=');
    const value = rest.join('=');
    if (key === 'status') filter.status = value;
    else if (key === 'name') filter.name = value;
    else if (key === 'older-than') filter.olderThanMs = durationOf(value, 'older-than');
    else throw new BadUsage(`--filter knows status, name and older-than; got "${part}".`);
  }
  return filter;
}
