import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ROOT } from '@perdure/cli';
import { Client } from '@perdure/sdk';
import { openRig } from '../rig/fresh-stack';
import { START_MAX_MS, World } from './rig.world';

/** Somebody outside works for a run, and answers when it is done. */
const ENTRY = join(ROOT, 'dist/test/e2e/entries/children.js');
const LOOK_EVERY_MS = 20;

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

async function called(more: object = {}): Promise<{ readonly runId: string; readonly token: string }> {
  const file = join(world.rig.folder, `token-${Math.random()}`);
  const runId = await world.start('client', { file, ...more });
  while (!existsSync(file) || readFileSync(file, 'utf8') === '') await pause(LOOK_EVERY_MS);
  return { runId, token: readFileSync(file, 'utf8') };
}

async function answer(token: string, body: object): Promise<{ readonly status: number; readonly code: string | undefined }> {
  const response = await world.post(`/v1/callbacks/${token}`, JSON.stringify(body));
  const { error } = (await response.json()) as { readonly error?: { readonly code: string } };
  return { status: response.status, code: error?.code };
}

it('is answered once, over HTTP, also when everything was restarted meanwhile', async () => {
  const { runId, token } = await called();
  for (const name of ['worker-1', 'services']) await world.rig.stack.child(name).replaced(world.rig.stack.kill(name));
  expect(await answer(token, { result: { pages: 3 } })).toMatchObject({ status: 202 });
  expect((await world.ended(runId)).outcome).toEqual({ status: 'completed', output: { pages: 3 } });
});

it('is answered over the bus, and a second answer is told that it comes too late', async () => {
  const { runId, token } = await called({ timeoutMs: 60_000 });
  await client.answer(token, { result: { pages: 4 } });
  await expect(client.answer(token, { result: { pages: 5 } })).rejects.toMatchObject({
    code: expect.stringMatching(/CallbackClosed|RunAlreadyEnded/),
  });
  expect((await world.ended(runId)).outcome).toEqual({ status: 'completed', output: { pages: 4 } });
  expect((await answer(token, { result: { pages: 5 } })).code).toMatch(/CallbackClosed|RunAlreadyEnded/);
});

it.each([
  ['an error', { error: { code: 'PaperJam', message: 'no' } }, 'PaperJam'],
  ['what does not fit', { result: { pages: 'many' } }, 'InvalidSignal'],
])('answered with %s it fails like that', async (_, body, output) => {
  const { runId, token } = await called();
  expect(await answer(token, body)).toMatchObject({ status: 202 });
  expect((await world.ended(runId)).outcome).toEqual({ status: 'completed', output });
});

it('is over when its time is', async () => {
  const { runId, token } = await called({ timeoutMs: 50 });
  expect((await world.ended(runId)).outcome).toEqual({ status: 'completed', output: 'CallbackTimedOut' });
  expect((await answer(token, { result: 1 })).code).toMatch(/CallbackClosed|RunAlreadyEnded/);
});

it('answers the model that had it done, after everything was killed, and is taken back when the agent is cancelled', async () => {
  const handedOver = async (): Promise<{ readonly runId: string; readonly file: string; readonly token: string }> => {
    const file = join(world.rig.folder, `scan-${Math.random()}`);
    const runId = await world.start('archivist', { file });
    while (!existsSync(file) || readFileSync(file, 'utf8') === '') await pause(LOOK_EVERY_MS);
    return { runId, file, token: readFileSync(file, 'utf8') };
  };
  const first = await handedOver();
  for (const name of ['worker-1', 'services']) await world.rig.stack.child(name).replaced(world.rig.stack.kill(name));
  expect(await answer(first.token, { result: { pages: 12 } })).toMatchObject({ status: 202 });
  expect(JSON.stringify((await world.ended(first.runId)).outcome)).toMatch(/completed.*pages.*12/);
  const second = await handedOver();
  await client.get(second.runId).cancel('not wanted');
  expect((await world.ended(second.runId)).outcome).toMatchObject({ status: 'cancelled' });
  while (!existsSync(`${second.file}-cancelled`)) await pause(LOOK_EVERY_MS);
  expect(existsSync(`${first.file}-cancelled`)).toBe(false);
});

it.each(['nonsense', 'default.run1.signal', 'default.run1.cb-1.more', '..', 'default.nobody.cb-1'])(
  'is not answered by the token %s',
  async (token) => {
    expect((await answer(encodeURIComponent(token), { result: 1 })).status).toBe(404);
  },
);
