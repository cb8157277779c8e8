import { agent, longTask, ruleModel, subagent, workflow } from '@perdure/sdk';
import { z } from 'zod';
import { TestEnvironment } from './test-environment';

const DAY_MS = 86_400_000;
const nothing = z.object({});

/** Whoever works outside: what it was given, and what it was told to leave. */
let ordered: { readonly scene: string; readonly token: string; readonly key: string }[];
let cancelled: unknown[];
let environment: TestEnvironment;

const render = longTask({
  name: 'render',
  input: z.object({ scene: z.string() }),
  output: z.object({ url: z.string() }),
  effect: 'idempotent',
  answerWithinMs: 30 * DAY_MS,
  begin: ({ scene }, { token, idempotencyKey }) => {
    ordered.push({ scene, token, key: idempotencyKey });
    return { order: ordered.length };
  },
  cancel: ({ scene }, { order }) => void cancelled.push([scene, order]),
});

const film = workflow({ name: 'film', input: nothing }, async (ctx) => {
  const { url } = await ctx.child(render, { scene: 'beach' });
  return url;
});

const director = agent({
  name: 'director',
  input: nothing,
  instructions: 'Have it rendered.',
  model: ruleModel('one-take', ({ messages }) => {
    const told = messages.find(({ role }) => role === 'tool');
    return told === undefined ? { toolCalls: [{ tool: 'render', args: { scene: 'night' } }] } : JSON.stringify(told);
  }),
  tools: [subagent(render, { description: 'Renders a scene; takes days' })],
});

beforeEach(async () => {
  [ordered, cancelled] = [[], []];
  environment = await TestEnvironment.create({ behaviours: [render, film, director] });
});
afterEach(() => environment.close());

const token = (): string => ordered.at(-1)?.token ?? 'none';

describe('a long task', () => {
  it('waits for its answer for days, through the death of everybody, and is begun once', async () => {
    const run = await environment.client.start(film, {});
    await environment.skip({ days: 10 });
    await environment.restartWorkers();
    await environment.restartServices();
    await environment.skip({ days: 10 });
    await environment.client.answer(token(), { result: { url: 'film.mp4' } });
    expect(await run.result()).toBe('film.mp4');
    expect(ordered).toHaveLength(1);
    expect(cancelled).toEqual([]);
  });

  it('is a tool of a model', async () => {
    const run = await environment.client.start(director, {});
    await environment.skip({ days: 3 });
    await environment.client.answer(token(), { result: { url: 'night.mp4' } });
    expect(await run.result()).toContain('night.mp4');
  });

  it('is told of a second answer, and of one that does not fit', async () => {
    const run = await environment.client.start(film, {});
    await environment.settle();
    await environment.client.answer(token(), { result: { link: 'wrong' } });
    await expect(run.result()).rejects.toMatchObject({ code: 'InvalidSignal' });
    await expect(environment.client.answer(token(), { result: { url: 'late' } })).rejects.toMatchObject({
      code: expect.stringMatching(/CallbackClosed|RunAlreadyEnded/) as string,
    });
  });

  it('fails with the error that was answered', async () => {
    const run = await environment.client.start(film, {});
    await environment.settle();
    await environment.client.answer(token(), { error: { code: 'NoFilm', message: 'out of film', reaction: 'terminal' } });
    await expect(run.result()).rejects.toMatchObject({ code: 'NoFilm' });
  });

  it('takes back what was begun when nobody answers in time, and when it is cancelled', async () => {
    const late = await environment.client.start(film, {});
    await expect(late.result()).rejects.toMatchObject({ code: 'CallbackTimedOut' });
    const stopped = await environment.client.start(film, {});
    await environment.settle();
    await stopped.cancel('not wanted');
    await expect(stopped.result()).rejects.toMatchObject({ reaction: 'cancelled' });
    await environment.settle();
    expect(cancelled).toEqual([
      ['beach', 1],
      ['beach', 2],
    ]);
  });
});
