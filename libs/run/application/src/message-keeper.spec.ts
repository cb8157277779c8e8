import { runAddress, type RunAddress, type RunEvent } from '@perdure/run-contract';
import { evolve, noRun, type NoteMessage, type RunState } from '@perdure/run-domain';
import { assigned, commandIdAt, fact, ManualHost, requested, START_MS } from '@perdure/testing';
import { MessageKeeper } from './message-keeper';

const sender = runAddress('acme', 'sender');
const sent = (n: number, to = 'other') =>
  fact('MessageSent', { call: `${n}`, to, name: 'news', payload: n, messageId: commandIdAt(START_MS, n) });

/** Owners that answer as told. */
class World {
  readonly host = new ManualHost({ nowMs: START_MS });
  readonly facts: RunEvent[] = [];
  readonly asked: string[] = [];
  readonly noted: NoteMessage[] = [];
  answers: (payload: number) => object | 'silence' = () => ({ ok: true, value: {} });
  isOwner = true;
  keeper = this.another();

  another(): MessageKeeper {
    const keeper = new MessageKeeper({
      host: this.host,
      owns: () => this.isOwner,
      ask: async (address, request) => this.answer(address, request),
      decide: async (_, command) => this.note(command),
      stateOf: async () => this.facts.reduce<RunState>(evolve, noRun),
      factAt: async (_, revision) => this.facts[revision],
    });
    keeper.restore(undefined);
    this.facts.forEach((event, revision) => keeper.noteOwn(sender, event, revision));
    keeper.caughtUp();
    return keeper;
  }

  happen(...facts: readonly RunEvent[]): void {
    for (const event of facts) {
      this.facts.push(event);
      this.keeper.noteOwn(sender, event, this.facts.length - 1);
    }
  }

  private note(command: NoteMessage): void {
    this.noted.push(command);
    const { call, error } = command;
    this.happen(error === undefined ? fact('MessageDelivered', { call }) : fact('MessageRefused', { call, error }));
  }

  private answer({ runId }: RunAddress, request: string): string {
    const { id, command } = JSON.parse(request) as { readonly id: string; readonly command: { readonly payload: number } };
    this.asked.push(`${runId} ${command.payload} ${id.slice(-2)}`);
    const answer = this.answers(command.payload);
    if (answer === 'silence') throw new Error('nobody answers');
    return JSON.stringify(answer);
  }
}

const begun = [requested(), assigned()];

describe('messages', () => {
  it('go to one recipient in their order, one after another, and to others meanwhile', async () => {
    const world = new World();
    world.answers = (payload) => (payload === 1 && world.asked.length < 4 ? 'silence' : { ok: true, value: {} });
    world.happen(...begun, sent(1), sent(2), sent(3, 'third'), sent(4));
    await world.host.settle();
    expect(world.asked).toEqual(['other 1 01', 'third 3 03']);
    await world.host.advance(5_000);
    const ofOther = world.asked.filter((asked) => asked.startsWith('other'));
    expect(ofOther.slice(-3)).toEqual(['other 1 01', 'other 2 02', 'other 4 04']);
    expect(world.noted.map(({ call }) => call)).toEqual(['3', '1', '2', '4']);
  });

  it.each([
    ['RunAlreadyEnded', 'RecipientEnded'],
    ['RunNotFound', 'RecipientNotFound'],
    ['CommandIdExpired', 'MessageUnconfirmed'],
  ])('that are refused with %s fail as %s', async (code, told) => {
    const world = new World();
    world.answers = () => ({ ok: false, error: { code, message: 'no', reaction: 'terminal' } });
    world.happen(...begun, sent(1));
    await world.host.settle();
    expect(world.noted).toMatchObject([{ call: '1', error: { code: told, reaction: 'terminal', details: { to: 'other' } } }]);
  });

  it('wait for a recipient that takes no more at the moment', async () => {
    const world = new World();
    let isFull = true;
    const full = { ok: false, error: { code: 'TooManySignals', message: 'later', reaction: 'retryable' } };
    world.answers = () => (isFull ? full : { ok: true, value: {} });
    world.happen(...begun, sent(1));
    await world.host.advance(3_000);
    expect(world.noted).toEqual([]);
    isFull = false;
    await world.host.advance(3_000);
    expect(world.noted).toMatchObject([{ call: '1' }]);
  });

  it('are delivered though their sender has ended, and after a restart under the same ids', async () => {
    const world = new World();
    world.answers = () => 'silence';
    world.happen(...begun, sent(1), fact('RunCompleted', { output: 1, endedAtMs: 1 }));
    await world.host.advance(500);
    world.keeper.stop();
    world.answers = () => ({ ok: true, value: {} });
    world.asked.length = 0;
    world.keeper = world.another();
    await world.host.settle();
    expect(world.asked).toEqual(['other 1 01']);
    expect(world.noted).toEqual([]);
    expect(world.keeper.snapshot()).toEqual([]);
  });

  it('come back from a checkpoint', async () => {
    const world = new World();
    world.answers = () => 'silence';
    world.happen(...begun, sent(1), sent(2));
    const saved = JSON.parse(JSON.stringify(world.keeper.snapshot())) as never;
    const after = world.another();
    after.restore(saved);
    expect(after.snapshot()).toEqual(saved);
  });

  it('are sent by no owner of other runs', async () => {
    const world = new World();
    world.isOwner = false;
    world.happen(...begun, sent(1));
    await world.host.advance(5_000);
    expect(world.asked).toEqual([]);
  });
});
