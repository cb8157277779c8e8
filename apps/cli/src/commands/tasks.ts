import { userInfo } from 'node:os';
import type { Task, TaskLine, TaskPage } from '@perdure/approval-contract';
import { EXIT } from '../cli.errors';
import { duration, note, pc, say } from '../paint';
import { clientOf, jsonOf, wholeNumber, type CommonOptions } from './run';

/** What runs ask of persons, and their answers. */
type Of = { readonly runId: string; readonly call: string };
type Speaker = CommonOptions & { readonly as?: string };

export async function listTasks(
  options: CommonOptions & { status?: string; assignee?: readonly string[]; after?: string; limit?: string },
): Promise<number> {
  const { status = 'open', assignee, after } = options;
  const page = await clientOf(options).ask<TaskPage & { readonly complete: boolean }>('GET', '/v1/tasks', {
    ...(status === 'all' ? {} : { status }),
    ...(assignee === undefined ? {} : { assignee: assignee.join(',') }),
    ...(after === undefined ? {} : { after }),
    ...(options.limit === undefined ? {} : { limit: wholeNumber(options.limit, '--limit') }),
  });
  if (options.json) {
    say(JSON.stringify(page));
    return EXIT.ok;
  }
  if (!page.complete) note(pc.yellow('The gateway is still reading the log: the list is not complete yet.'));
  if (page.tasks.length === 0) say(pc.dim('Nobody is asked anything.'));
  page.tasks.forEach(showLine);
  if (page.next !== undefined) say(pc.dim(`There are more: --after ${page.next}`));
  return EXIT.ok;
}

function showLine(line: TaskLine): void {
  const { runId, call, name, title, status, assignee, delegatedTo, escalatedTo, askedAtMs, dueAtMs, answeredBy } = line;
  const who = [assignee, delegatedTo, escalatedTo].filter((each) => each !== undefined).join(', ');
  say(`${pc.magenta('?')} ${pc.bold(title)} ${pc.dim(`${call} of ${name} ${runId}, ${status}`)}`);
  say(`    asked of ${who} ${duration(Date.now() - askedAtMs)} ago${dueText(status, dueAtMs)}`);
  if (answeredBy !== undefined) say(`    answered by ${answeredBy}`);
  if (status === 'open') say(`    ${pc.dim(`./perdure task show ${runId} ${call}`)}`);
}

function dueText(status: string, dueAtMs: number | undefined): string {
  if (status !== 'open' || dueAtMs === undefined) return '';
  const left = dueAtMs - Date.now();
  return left > 0 ? `, due in ${duration(left)}` : `, ${pc.red(`overdue by ${duration(-left)}`)}`;
}

export async function showTask(runId: string, call: string, options: CommonOptions): Promise<number> {
  const task = await clientOf(options).ask<Task>('GET', pathOf({ runId, call }), {});
  if (options.json) {
    say(JSON.stringify(task));
    return EXIT.ok;
  }
  showLine(task);
  if (task.description !== undefined) say(task.description.replace(/^/gm, '    '));
  if (task.expiresAtMs !== undefined) say(`    over at ${new Date(task.expiresAtMs).toISOString()}`);
  say(`    the form of the answer ${pc.dim(`(asked by #${task.asked})`)}`);
  say(JSON.stringify(task.form, undefined, 2).replace(/^/gm, '    '));
  return EXIT.ok;
}

export async function answerTask(of: Of, text: string, options: Speaker & { asked?: string }): Promise<number> {
  const by = options.as ?? userInfo().username;
  const asked = options.asked === undefined ? {} : { asked: wholeNumber(options.asked, '--asked') };
  await clientOf(options).post(`${pathOf(of)}/answer`, { by, answer: jsonOf(text, 'the answer'), ...asked });
  say(options.json ? JSON.stringify(of) : `${pc.green('✉')} ${of.call} of ${pc.bold(of.runId)} is answered`);
  return EXIT.ok;
}

export async function delegateTask(of: Of, to: string, options: Speaker & { reason?: string }): Promise<number> {
  const by = options.as ?? userInfo().username;
  const said = options.reason === undefined ? {} : { reason: options.reason };
  await clientOf(options).post(`${pathOf(of)}/delegate`, { by, to, ...said });
  say(options.json ? JSON.stringify(of) : `${pc.green('→')} ${to} may answer ${of.call} of ${pc.bold(of.runId)}, too`);
  return EXIT.ok;
}

function pathOf({ runId, call }: Of): string {
  return `/v1/tasks/${encodeURIComponent(runId)}/${encodeURIComponent(call)}`;
}
