import { Client, type TokenEvent } from '@perdure/sdk';
import { ofType, START_MAX_MS, World } from './rig.world';

let world: World;
let client: Client;
beforeAll(async () => {
  world = await World.open(2);
  client = await Client.connect({ url: world.rig.stack.clientUrl });
}, START_MAX_MS);
afterAll(async () => {
  await client.close();
  await world.close();
}, START_MAX_MS);

/** What somebody has on the screen who does as the events say; every text has to begin where the one before it ended. */
function screenOf(events: readonly TokenEvent[]): ReadonlyMap<string, string> {
  const shown = new Map<string, string>();
  for (const event of events) {
    if (event.type === 'reset') shown.delete(event.call);
    if (event.type !== 'text') continue;
    const before = shown.get(event.call) ?? '';
    expect(event.offset).toBe(before.length);
    shown.set(event.call, before + event.text);
  }
  return shown;
}

async function allOf(tokens: AsyncIterable<TokenEvent>): Promise<readonly TokenEvent[]> {
  const events: TokenEvent[] = [];
  for await (const event of tokens) events.push(event);
  return events;
}

async function recordedOf(runId: string): Promise<ReadonlyMap<string, string>> {
  const completed = (await world.facts(runId)).filter(ofType('ModelCallCompleted'));
  return new Map(completed.map(({ data }) => [data.call as string, (data.decision as { readonly text: string }).text]));
}

describe('reading along', () => {
  it('survives kill -9 of the worker in mid-stream: a reset, no word twice, and no completed call is paid again', async () => {
    const runId = await world.start('speaker', { mark: 'killed' });
    const bySdk = allOf(client.get(runId).tokens());
    const seen: TokenEvent[] = [];
    let killed = '';
    for await (const event of world.http.tokens(runId)) {
      seen.push(event);
      if (killed !== '' || event.type !== 'text' || event.call !== 't2' || event.offset < 40) continue;
      killed = (await world.http.get(runId)).workerId ?? '';
      world.rig.stack.kill(killed, { restart: false });
    }
    const recorded = await recordedOf(runId);
    expect(recorded.size).toBe(2);
    expect(screenOf(seen)).toEqual(recorded);
    expect(screenOf(await bySdk)).toEqual(recorded);
    expect(seen.filter(({ type }) => type === 'reset')).toMatchObject([{ call: 't2', epoch: 2, attempt: 1 }]);
    const asked = world.book().filter(({ runId: mark }) => mark === 'killed');
    expect(asked.map(({ what }) => what)).toEqual(['turn 1', 'turn 2', 'turn 2']);
    world.rig.stack.child(killed).revive();
    await world.rig.stack.child(killed).replaced(0);
  });

  it('goes on after the event that was got last, over the death of the services', async () => {
    const runId = await world.start('speaker', { mark: 'resumed' });
    const seen: TokenEvent[] = [];
    let isKilled = false;
    for await (const event of world.http.tokens(runId)) {
      seen.push(event);
      if (isKilled || event.type !== 'text' || event.call !== 't2') continue;
      isKilled = true;
      world.rig.stack.kill('services');
    }
    const recorded = await recordedOf(runId);
    expect(screenOf(seen)).toEqual(recorded);
    const middle = seen.findIndex(({ type }) => type === 'completed');
    const rest = await allOf(client.get(runId).tokens({ after: seen[middle]?.id ?? '' }));
    expect(screenOf([...seen.slice(0, middle + 1), ...rest])).toEqual(recorded);
    expect(new Set(rest.map((event) => ('call' in event ? event.call : '')))).toEqual(new Set(['t2']));
  });

  it('that begins when all is over is told what is recorded', async () => {
    const runId = await world.start('adder', { left: 1, right: 2 });
    await world.ended(runId);
    const events = await allOf(client.get(runId).tokens());
    expect(screenOf(events)).toEqual(new Map([['t2', 'sum 3']]));
    expect(events.filter(({ type }) => type === 'completed')).toHaveLength(2);
  });
});
