import { userInfo } from 'node:os';
import { BadUsage, EXIT } from '../cli.errors';
import type { DeadLetter, Said } from '../gateway-client';
import { duration, note, pc, say } from '../paint';
import { clientOf, wholeNumber, type CommonOptions } from './run';

/** Effects whose attempts are exhausted: a person has them tried again when the cause is gone, or gives them up. */

export async function listDeadLetters(options: CommonOptions & { tool?: string; limit?: string }): Promise<number> {
  const list = await clientOf(options).deadLetters({
    ...(options.tool === undefined ? {} : { tool: options.tool }),
    ...(options.limit === undefined ? {} : { limit: wholeNumber(options.limit, '--limit') }),
  });
  if (options.json) {
    say(JSON.stringify(list));
    return EXIT.ok;
  }
  if (!list.complete) note(pc.yellow('The gateway is still reading the log: the list is not complete yet.'));
  if (list.deadLetters.length === 0) say(pc.dim('No dead letters.'));
  for (const letter of list.deadLetters) showLetter(letter);
  return EXIT.ok;
}

function showLetter({ runId, call, tool, attempt, because, errorCode, deadLetteredAtMs }: DeadLetter): void {
  const age = duration(Date.now() - deadLetteredAtMs);
  say(`${pc.red('✉')} ${pc.bold(tool)} ${pc.dim(`${call} of ${runId}, after attempt ${attempt}, ${age} ago`)}`);
  say(`    exhausted (${because}): ${errorCode}`);
  say(`    ${pc.dim(`its arguments and its error: ./perdure run why ${runId}`)}`);
  say(`    ${pc.dim(`./perdure dead-letters redrive ${runId} ${call}   or   ./perdure dead-letters fail ${runId} ${call}`)}`);
}

export interface DecideOptions extends CommonOptions {
  readonly reason?: string;
  readonly by?: string;
}

export async function redriveDeadLetters(
  runId: string | undefined,
  call: string | undefined,
  options: DecideOptions & { readonly tool?: string; readonly all?: boolean },
): Promise<number> {
  if (runId !== undefined && call !== undefined) return decide('redrive', { runId, call }, options);
  if (runId !== undefined || (options.tool === undefined) === (options.all !== true))
    throw new BadUsage('Say which: a run and a call, --tool NAME, or --all.');
  const { redriven, results } = await clientOf(options).redriveDeadLetters({
    ...saidIn(options),
    ...(options.tool === undefined ? {} : { tool: options.tool }),
  });
  if (options.json) say(JSON.stringify({ redriven, results }));
  else {
    say(`${pc.green('↻')} ${redriven} of ${results.length} are tried again`);
    for (const { runId: id, call: which, error } of results)
      if (error !== undefined) say(`    ${which} of ${id}: ${pc.red(error.code)} ${error.message}`);
  }
  return redriven === results.length ? EXIT.ok : EXIT.failed;
}

export async function failDeadLetter(runId: string, call: string, options: DecideOptions): Promise<number> {
  return decide('fail', { runId, call }, options);
}

async function decide(
  verb: 'redrive' | 'fail',
  { runId, call }: { readonly runId: string; readonly call: string },
  options: DecideOptions,
): Promise<number> {
  await clientOf(options).decideDeadLetter(runId, call, { verb, ...saidIn(options) });
  const done = verb === 'redrive' ? 'is tried again' : 'is given up';
  say(options.json ? JSON.stringify({ runId, call, asked: verb }) : `${pc.green('↻')} ${call} of ${pc.bold(runId)} ${done}`);
  return EXIT.ok;
}

function saidIn({ reason, by }: DecideOptions): Said {
  return { by: by ?? userInfo().username, ...(reason === undefined ? {} : { reason }) };
}
