import { join } from 'node:path';
import type { Task, TaskLine, TaskPage } from '@perdure/approval-contract';
import { ROOT } from '@perdure/cli';
import { Client } from '@perdure/sdk';
import { openRig } from '../rig/fresh-stack';
import { ofType, START_MAX_MS, World } from './rig.world';

/** Runs that wait for persons. */
const ENTRY = join(ROOT, 'dist/test/e2e/entries/people.js');
const ANSWER = { approved: true, amount: 12 };

let world: World;
let client: Client;
beforeAll(async () => {
  world = new World(await openRig(() => ({ form: 'dev', entry: ENTRY, workers: 1 })));
  client = await Client.connect({ url: world.rig.stack.clientUrl });
}, START_MAX_MS);
afterAll(async () => {
  await client.close();
  await world.close();
}, START_MAX_MS);

async function asked(input: object = {}): Promise<{ readonly runId: string; readonly call: string }> {
  const runId = await world.start('invoice', { assignee: 'user:mia', ...input });
  const { data } = await world.until(runId, ofType('TaskAsked'));
  await world.until(runId, ofType('RunSuspended'));
  return { runId, call: String(data.call) };
}

async function post({ runId, call }: { runId: string; call: string }, verb: string, body: object) {
  const response = await world.post(`/v1/tasks/${runId}/${call}/${verb}`, JSON.stringify(body));
  const { error } = (await response.json()) as { error?: { code: string; details: { issues: readonly string[] } } };
  return { status: response.status, code: error?.code, issues: error?.details.issues };
}

it('waits through the death of everything, and goes on with the answer', async () => {
  const task = await asked();
  for (const name of ['worker-1', 'services']) await world.rig.stack.child(name).replaced(world.rig.stack.kill(name));
  // Over the bus it is asked again until the gateway has read the log.
  const { tasks } = await client.tasks.list({ assignee: ['user:mia', 'role:head'] });
  expect(tasks).toContainEqual(expect.objectContaining({ ...task, title: 'Is this invoice right?', status: 'open' }));
  const listed = await world.http.ask<TaskPage>('GET', '/v1/tasks', { assignee: 'user:mia', status: 'open' });
  expect(listed).toEqual({ complete: true, tasks: [...tasks] });
  const shown = await world.http.ask<Task>('GET', `/v1/tasks/${task.runId}/${task.call}`, {});
  expect(shown).toMatchObject({ description: 'It came without an order.', form: { required: ['approved', 'amount'] } });
  const { waitingOn } = await world.http.why(task.runId);
  expect(waitingOn).toMatchObject([{ promise: 'task', keeper: 'person', detail: expect.stringContaining('user:mia') }]);
  expect(await post(task, 'answer', { by: 'mia', asked: shown.asked, answer: ANSWER })).toMatchObject({ status: 202 });
  expect((await world.ended(task.runId)).outcome).toEqual({ status: 'completed', output: ANSWER });
});

it('takes one answer, of who is asked, that fits', async () => {
  const task = await asked();
  const misfit = await post(task, 'answer', { by: 'mia', answer: { approved: 'yes' } });
  expect(misfit).toMatchObject({ status: 422, code: 'InvalidAnswer' });
  expect(misfit.issues).toEqual(["answer must have required property 'amount'", '/approved must be boolean']);
  expect(await post(task, 'answer', { by: 'leo', answer: ANSWER })).toMatchObject({ status: 403, code: 'NotYourTask' });
  expect(await post(task, 'delegate', { by: 'leo', to: 'user:leo' })).toMatchObject({ status: 403, code: 'NotYourTask' });
  expect(await post(task, 'delegate', { by: 'mia', to: 'user:leo' })).toMatchObject({ status: 202 });
  await client.tasks.answer(task, ANSWER, { by: 'leo' });
  // The same again is no other answer, also when the run is over.
  await client.tasks.answer(task, ANSWER, { by: 'leo' });
  expect((await world.ended(task.runId)).outcome).toEqual({ status: 'completed', output: ANSWER });
  await client.tasks.answer(task, ANSWER, { by: 'leo' });
  const late = client.tasks.answer(task, ANSWER, { by: 'mia' });
  await expect(late).rejects.toMatchObject({ code: 'TaskClosed' });
  expect((await client.tasks.get(task.runId, task.call)).answeredBy).toBe('leo');
});

it('reminds, lets others answer, and is over, by timers that survive', async () => {
  const task = await asked({ remindMs: 1_500 });
  await world.rig.stack.child('services').replaced(world.rig.stack.kill('services'));
  await world.until(task.runId, ofType('TaskEscalated'));
  expect((await world.facts(task.runId)).filter(ofType('TaskReminded'))).toHaveLength(1);
  expect(await post(task, 'answer', { by: 'eva', answer: ANSWER })).toMatchObject({ status: 202 });
  const silent = await world.perform('invoice', { assignee: 'role:finance', expiresMs: 50 });
  expect(silent).toEqual({ status: 'completed', output: { approved: false, amount: 0 } });
});

it('answers the model of an agent, also when its worker has died meanwhile', async () => {
  const runId = await world.start('clerk', {});
  await world.until(runId, ofType('RunSuspended'));
  await world.rig.stack.child('worker-1').replaced(world.rig.stack.kill('worker-1'));
  const { tasks } = await client.tasks.list({ assignee: 'user:mia' });
  const task = tasks.find((line) => line.runId === runId);
  expect(task).toMatchObject({ title: 'Which account?', name: 'clerk' });
  await client.tasks.answer(task as TaskLine, { answer: '4711' }, { by: 'mia' });
  const output = JSON.stringify([{ ok: true, value: { answer: '4711' } }]);
  expect((await world.ended(runId)).outcome).toEqual({ status: 'completed', output });
});

it.each([
  ['/v1/tasks/nobody/1/answer', 404],
  ['/v1/tasks/.../1/answer', 404],
])('answers POST %s with %d', async (path, status) => {
  expect((await world.post(path, JSON.stringify({ by: 'mia', answer: 1 }))).status).toBe(status);
});
