import { userInfo } from 'node:os';
import { BadUsage, EXIT } from '../cli.errors';
import type { EffectAnswer, EffectQuestion } from '../gateway-client';
import { duration, note, pc, say } from '../paint';
import { clientOf, jsonOf, wholeNumber, type CommonOptions } from './run';

/** Effects that nobody can say of whether they happened: a person looks at the destination, and answers. */
const ANSWERS = ['happened', 'absent', 'failed'] as const;

export async function listEffects(options: CommonOptions & { limit?: string }): Promise<number> {
  const limit = options.limit === undefined ? undefined : wholeNumber(options.limit, '--limit');
  const list = await clientOf(options).effects(limit);
  if (options.json) {
    say(JSON.stringify(list));
    return EXIT.ok;
  }
  if (!list.complete) note(pc.yellow('The gateway is still reading the log: the list is not complete yet.'));
  if (list.questions.length === 0) say(pc.dim('No effect waits for an answer.'));
  for (const question of list.questions) showQuestion(question);
  return EXIT.ok;
}

function showQuestion({ runId, name, call, tool, attempt, executionId, why, because, askedAtMs }: EffectQuestion): void {
  const age = duration(Date.now() - askedAtMs);
  say(`${pc.magenta('?')} ${pc.bold(tool)} ${pc.dim(`${call} of ${name} ${runId}, attempt ${attempt}, asked ${age} ago`)}`);
  say(`    ${why === '' ? because : why}`);
  say(`    ${pc.dim(`execution ${executionId}; its arguments: ./perdure run why ${runId}`)}`);
  say(`    ${pc.dim(`./perdure effects resolve ${runId} ${call} --as ${ANSWERS.join('|')}`)}`);
}

export interface ResolveOptions extends CommonOptions {
  readonly as?: string;
  readonly result?: string;
  readonly reason?: string;
  readonly by?: string;
}

export async function resolveEffect(runId: string, call: string, options: ResolveOptions): Promise<number> {
  const answer = answerOf(options);
  await clientOf(options).resolveEffect(runId, call, answer);
  const { resolution } = answer;
  say(
    options.json ? JSON.stringify({ runId, call, resolution }) : `${pc.green('!')} ${call} of ${pc.bold(runId)}: ${resolution}`,
  );
  return EXIT.ok;
}

function answerOf({ as, result, reason, by }: ResolveOptions): EffectAnswer {
  const resolution = ANSWERS.find((known) => known === as);
  if (resolution === undefined) throw new BadUsage(`--as wants one of ${ANSWERS.join(', ')}; got "${as ?? ''}".`);
  if (result !== undefined && resolution !== 'happened') throw new BadUsage('--result goes with --as happened only.');
  return {
    resolution,
    ...(result === undefined ? {} : { result: jsonOf(result, '--result') }),
    ...(reason === undefined ? {} : { reason }),
    by: by ?? userInfo().username,
  };
}
