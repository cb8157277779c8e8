import { START_MAX_MS, World } from './rig.world';

let world: World;
beforeAll(async () => {
  world = await World.open(1);
}, START_MAX_MS);
afterAll(() => world.close(), START_MAX_MS);

interface Refused {
  readonly error: { readonly code: string; readonly message: string; readonly reaction: string };
}

async function refusalOf(response: Response): Promise<readonly [status: number, code: string]> {
  const { error } = (await response.json()) as Refused;
  expect(error.message).not.toBe('');
  return [response.status, error.code];
}

describe('a run over HTTP', () => {
  it('is started, awaited, looked at and listed', async () => {
    const started = await world.http.start({ name: 'adder', input: { left: 20, right: 22 } });
    const view = await world.ended(started.runId);
    expect(view).toMatchObject({ status: 'ended', outcome: { status: 'completed', output: 'sum 42' } });
    expect(await world.http.get(started.runId)).toEqual(view);
    const { runs } = await world.http.list({ status: 'completed' });
    expect(runs.map(({ runId }) => runId)).toContain(started.runId);
  });

  it('is one run for one key', async () => {
    const request = { name: 'adder', input: { left: 1, right: 2 }, idempotencyKey: 'the same' };
    const first = await world.http.start(request);
    expect(first.started).toBe(true);
    expect((await world.http.start(request)).runId).toBe(first.runId);
    await world.ended(first.runId);
    expect((await world.http.start(request)).runId).toBe(first.runId);
    await expect(world.http.start({ ...request, input: { left: 9, right: 9 } })).rejects.toMatchObject({
      code: 'RunAlreadyExists',
    });
  });

  it('tells its facts, by page and as server-sent events', async () => {
    const runId = await world.start('adder', { left: 1, right: 1 });
    const streamed: number[] = [];
    for await (const { revision } of world.http.follow(runId)) streamed.push(revision);
    const facts = await world.facts(runId);
    expect(streamed).toEqual(facts.map(({ revision }) => revision));
    expect(facts.map(({ revision }) => revision)).toEqual(facts.map((_, index) => index));
    expect([facts.at(0)?.type, facts.at(-1)?.type]).toEqual(['RunRequested', 'RunCompleted']);
  });

  it('is cancelled', async () => {
    const runId = await world.start('sleeper', { ms: 600_000 });
    await world.until(runId, ({ type }) => type === 'TimerSet');
    await world.http.control(runId, 'cancel', 'no longer wanted');
    expect((await world.ended(runId)).outcome).toEqual({ status: 'cancelled', reason: 'no longer wanted' });
  });
});

describe('a run that somebody controls', () => {
  it('goes on where it was when it is resumed, also when what it waited for has happened meanwhile', async () => {
    const runId = await world.start('sleeper', { ms: 300 });
    await world.until(runId, ({ type }) => type === 'TimerSet');
    await world.http.control(runId, 'pause', 'let me look');
    await world.until(runId, ({ type }) => type === 'TimerFired');
    await world.http.control(runId, 'resume');
    expect((await world.ended(runId)).outcome?.status).toBe('completed');
    expect((await world.facts(runId)).map(({ type }) => type)).toContain('RunPaused');
  });

  it('is held until somebody resumes it', async () => {
    const runId = await world.start('sleeper', { ms: 600_000 });
    await world.until(runId, ({ type }) => type === 'TimerSet');
    await world.http.control(runId, 'pause', 'let me look');
    await world.until(runId, ({ type }) => type === 'RunPaused');
    const why = await world.http.why(runId);
    expect(why.status).toBe('paused');
    expect(why.waitingOn[0]).toMatchObject({ promise: 'resume', keeper: 'person', detail: 'let me look' });
    await world.http.control(runId, 'resume');
    await world.until(runId, ({ type }) => type === 'RunResumed');
    await world.http.control(runId, 'terminate', 'seen enough');
    expect((await world.ended(runId)).outcome).toEqual({
      status: 'terminated',
      reason: 'seen enough',
      leftOpen: [{ call: expect.any(String) as string, what: 'sleep' }],
    });
  });
});

describe('what cannot be started is refused with a typed error', () => {
  it.each([
    ['an unknown agent', { name: 'nobody', input: {} }, [404, 'UnknownAgent']],
    ['an input that does not fit', { name: 'adder', input: { left: 'one' } }, [400, 'InvalidInput']],
    ['a request without a name', { input: {} }, [400, 'MalformedRequest']],
    ['a deadline in the past', { name: 'adder', input: { left: 1, right: 1 }, deadlineMs: -1 }, [400, 'MalformedRequest']],
    ['an input of 5 MB', { name: 'adder', input: 'x'.repeat(5_000_000) }, [413, 'PayloadTooLarge']],
    ['an input just over the limit', { name: 'adder', input: 'x'.repeat(1_000_001) }, [413, 'PayloadTooLarge']],
  ])('%s', async (_what, body, refusal) => {
    expect(await refusalOf(await world.post('/v1/runs', JSON.stringify(body)))).toEqual(refusal);
  });

  it.each([
    { what: 'malformed JSON', path: '/v1/runs', body: '{"name":', refusal: [400, 'MalformedRequest'] },
    { what: 'no JSON at all', path: '/v1/runs', body: '<run/>', type: 'application/xml', refusal: [415, 'UnsupportedMediaType'] },
    { what: 'an unknown version', path: '/v9/runs', body: '{}', refusal: [404, 'RouteNotFound'] },
    { what: 'an unknown run', path: '/v1/runs/nothing/cancel', body: '{}', refusal: [404, 'RunNotFound'] },
  ])('$what', async ({ path, body, type, refusal }) => {
    expect(await refusalOf(await world.post(path, body, type))).toEqual(refusal);
  });
});

describe('what user code does wrong ends in a typed error, not in silence', () => {
  it.each([
    ['cyclic', 'OutputNotSerialisable'],
    ['function', 'OutputNotSerialisable'],
    ['bigint', 'OutputNotSerialisable'],
    ['map', 'OutputNotSerialisable'],
    ['huge', 'PayloadTooLarge'],
  ])('an output that is %s', async (what, code) => {
    expect(await world.perform('returns', { what })).toMatchObject({ status: 'failed', error: { code } });
  });

  it.each([
    ['throws_text', 'plain text'],
    ['never_returns', 'ToolTimedOut'],
    ['no_such_tool', 'UnknownTool'],
  ])('a tool that %s is told to the model', async (tool, text) => {
    expect(await world.perform('clumsy', { tool })).toMatchObject({
      status: 'completed',
      output: expect.stringContaining(text) as string,
    });
  });

  it('and the worker goes on with others', async () => {
    expect(await world.perform('adder', { left: 1, right: 1 })).toEqual({ status: 'completed', output: 'sum 2' });
  });
});
