import { join } from 'node:path';
import { ROOT } from '@perdure/cli';
import { openRig } from '../rig/fresh-stack';
import { ofType, START_MAX_MS, World } from './rig.world';

/** Runs that talk to each other. */
const ENTRY = join(ROOT, 'dist/test/e2e/entries/children.js');
const QUESTIONS = Array.from({ length: 12 }, (_, n) => 'why'.padEnd(n + 3, '?'));
const LENGTHS = QUESTIONS.map((question) => question.length);

let world: World;
beforeAll(async () => {
  world = new World(await openRig(() => ({ form: 'dev', entry: ENTRY, workers: 2 })));
}, START_MAX_MS);
afterAll(() => world.close(), START_MAX_MS);

it.each(['nobody', 'services', 'nats', 'store', 'worker-1'])(
  'are answered in the order in which they asked, each once, when %s is killed',
  async (name) => {
    const to = await world.start('oracle', { questions: QUESTIONS.length });
    const runId = await world.start('seeker', { to, questions: QUESTIONS });
    await world.until(runId, ofType('MessageSent'));
    if (name !== 'nobody') await world.rig.stack.child(name).replaced(world.rig.stack.kill(name));
    expect((await world.ended(runId)).outcome).toEqual({ status: 'completed', output: LENGTHS });
    expect((await world.ended(to)).outcome).toEqual({ status: 'completed', output: QUESTIONS });
  },
);

it('are told at once when nobody will hear them', async () => {
  const to = await world.start('oracle', { questions: 0 });
  await world.ended(to);
  expect(await world.perform('seeker', { to, questions: ['late'] })).toEqual({ status: 'completed', output: 'RecipientEnded' });
  expect(await world.perform('seeker', { to: 'nobody', questions: ['lost'] })).toEqual({
    status: 'completed',
    output: 'RecipientNotFound',
  });
});

it('wait while the other takes no more, and lose nothing', async () => {
  const to = await world.start('helper', { number: 1, until: join(world.rig.folder, 'never') });
  const questions = Array.from({ length: 101 }, (_, n) => String(n));
  const runId = await world.start('seeker', { to, questions });
  let delivered = 0;
  await world.until(runId, (fact) => fact.type === 'MessageDelivered' && (delivered += 1) === 100);
  await world.until(runId, ofType('RunSuspended'));
  expect((await world.http.get(runId)).waitingOn).toMatchObject([{ promise: 'message', keeper: 'orchestrator' }]);
  await world.http.control(to, 'cancel', 'enough');
  expect((await world.ended(runId)).outcome).toEqual({ status: 'completed', output: 'RecipientEnded' });
});
