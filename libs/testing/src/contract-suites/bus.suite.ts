import { MESSAGE_BYTES_MAX, type Headers } from '@perdure/kernel';
import { durableCommands, keyValues } from './bus-durable.suite';
import { eventually, untilDone, type BusFixture, type BusProcess, type Scene } from './bus-scene';

const TIMEOUT_MS = 2_000;

function fact(number: number): { subject: string; payload: string; messageId: string; headers: Headers } {
  return {
    subject: `perdure.evt.acme.run.step-recorded.r${number}`,
    payload: String(number),
    messageId: `fact-${number}`,
    headers: { revision: String(number) },
  };
}

/** What every adapter of the bus ports must do. `open` gives a broker that stores nothing yet. */
export function busContract(adapter: string, open: () => Promise<BusFixture>): void {
  describe(`${adapter} as the bus`, () => {
    let fixture: BusFixture;
    let asker: BusProcess;
    let answerer: BusProcess;

    beforeEach(async () => {
      fixture = await open();
      [asker, answerer] = await Promise.all([fixture.connect('asker'), fixture.connect('answerer')]);
    });

    afterEach(async () => {
      await asker.close();
      await answerer.close();
      await fixture.stop();
    });

    messages(() => ({ fixture, asker, answerer }));
    facts(() => ({ fixture, asker, answerer }));
    durableCommands(() => ({ fixture, asker, answerer }));
    keyValues(() => ({ fixture, asker, answerer }));
  });
}

function messages(scene: Scene): void {
  describe('messages', () => {
    it('brings a request to the partition of its id, and the answer back', async () => {
      const { asker, answerer } = scene();
      answerer.bus.subscribe('perdure.part.*.req.*.run.*', (message) =>
        message.respond(`${message.subject} ${message.payload} ${message.wantsReply}`),
      );
      await answerer.flush();
      expect(await asker.bus.request('perdure.req.acme.run.run-1', 'é€😀', { timeoutMs: TIMEOUT_MS })).toMatch(
        /^perdure\.part\.\d+\.req\.acme\.run\.run-1 é€😀 true$/,
      );
    });

    it('keeps many requests apart', async () => {
      const { asker, answerer } = scene();
      answerer.bus.subscribe('perdure.svc.echo', (message) => message.respond(message.payload));
      await answerer.flush();
      const numbers = Array.from({ length: 200 }, (_, number) => String(number));
      expect(
        await Promise.all(numbers.map((number) => asker.bus.request('perdure.svc.echo', number, { timeoutMs: TIMEOUT_MS }))),
      ).toEqual(numbers);
    });

    it('says that nobody answers, and that nobody answered in time', async () => {
      const { asker, answerer } = scene();
      await expect(asker.bus.request('perdure.svc.nobody', '', { timeoutMs: TIMEOUT_MS })).rejects.toMatchObject({
        code: 'NoResponders',
        reaction: 'retryable',
      });
      answerer.bus.subscribe('perdure.svc.silent', () => undefined);
      await answerer.flush();
      await expect(asker.bus.request('perdure.svc.silent', '', { timeoutMs: 20 })).rejects.toMatchObject({
        code: 'RequestTimedOut',
      });
    });

    it('carries what a message may hold, and says at once what holds more', async () => {
      const { asker, answerer } = scene();
      answerer.bus.subscribe('perdure.svc.weigh', (message) => message.respond(String(message.payload.length)));
      await answerer.flush();
      // Three bytes each.
      const largest = '€'.repeat(Math.floor(MESSAGE_BYTES_MAX / 3));
      expect(await asker.bus.request('perdure.svc.weigh', largest, { timeoutMs: TIMEOUT_MS })).toBe(String(largest.length));
      const tooLarge = expect.objectContaining({ code: 'MessageTooLarge', reaction: 'terminal' });
      await expect(asker.bus.request('perdure.svc.weigh', `${largest}€`, { timeoutMs: TIMEOUT_MS })).rejects.toEqual(tooLarge);
      expect(() => asker.bus.publish('perdure.svc.weigh', `${largest}€`)).toThrow(tooLarge);
      const command = asker.commands.publish('perdure.cmd.acme.run.r1', `${largest}€`, { messageId: 'large' });
      await expect(command).rejects.toEqual(tooLarge);
    });

    it('gives each message to one member of a queue, and to every plain subscriber', async () => {
      const { asker, answerer } = scene();
      const got: string[] = [];
      for (const process of [asker, answerer])
        process.bus.subscribe('perdure.svc.work.>', () => got.push('queue'), { queue: 'group' });
      answerer.bus.subscribe('perdure.svc.*.a', (message) => got.push(message.headers['color'] ?? ''));
      await asker.flush();
      await answerer.flush();
      asker.bus.publish('perdure.svc.work.a', 'x', { color: 'blue' });
      await eventually(() => got.length === 2);
      expect(got.sort()).toEqual(['blue', 'queue']);
    });

    it('delivers nothing after the end of a subscription', async () => {
      const { asker, answerer } = scene();
      const got: string[] = [];
      const ended = answerer.bus.subscribe('perdure.svc.news', () => got.push('ended'));
      answerer.bus.subscribe('perdure.svc.news', () => got.push('open'));
      await ended.close();
      await answerer.flush();
      asker.bus.publish('perdure.svc.news', '');
      await eventually(() => got.length > 0);
      expect(got).toEqual(['open']);
    });

    it('survives a handler that throws', async () => {
      const { asker, answerer } = scene();
      answerer.bus.subscribe('perdure.svc.fragile', (message) => {
        if (message.payload === 'bad') throw new Error('fragile');
        message.respond('fine');
      });
      await answerer.flush();
      asker.bus.publish('perdure.svc.fragile', 'bad');
      expect(await asker.bus.request('perdure.svc.fragile', 'good', { timeoutMs: TIMEOUT_MS })).toBe('fine');
    });

    it.each(['', ' ', 'a..b', 'a.b\r\nPUB x 1', 'a.*', 'a.>', '.a', 'a b', 'a.\u0000'])(
      'refuses %j as a subject',
      async (subject) => {
        const { asker } = scene();
        await expect((async () => asker.bus.request(subject, '', { timeoutMs: TIMEOUT_MS }))()).rejects.toMatchObject({
          code: 'InvalidSubject',
          reaction: 'terminal',
        });
        expect(() => asker.bus.publish(subject, '')).toThrow(expect.objectContaining({ code: 'InvalidSubject' }));
      },
    );

    it('works again after a restart of the broker, and tells so', async () => {
      const { fixture, asker, answerer } = scene();
      let told = 0;
      asker.bus.onReconnect(() => (told += 1));
      answerer.bus.subscribe('perdure.svc.echo', (message) => message.respond(message.payload));
      await answerer.flush();
      await fixture.restartBroker();
      expect(await untilDone(() => asker.bus.request('perdure.svc.echo', 'again', { timeoutMs: TIMEOUT_MS }))).toBe('again');
      expect(told).toBe(1);
    });
  });
}

function facts(scene: Scene): void {
  describe('facts', () => {
    it('stores what was published, in order, each once, and shows it to whoever listens', async () => {
      const { fixture, asker, answerer } = scene();
      const seen: string[] = [];
      answerer.bus.subscribe('perdure.evt.>', (message) => seen.push(message.payload));
      await answerer.flush();
      asker.facts.publish([fact(1), fact(2)]);
      asker.facts.publish([fact(2), fact(3)]);
      await asker.facts.confirm();
      expect(await fixture.storedFactIds()).toEqual(['fact-1', 'fact-2', 'fact-3']);
      await eventually(() => seen.length === 4);
      expect(seen).toEqual(['1', '2', '2', '3']);
    });

    it('takes many more than the broker queues at once', async () => {
      const { fixture, asker } = scene();
      const many = Array.from({ length: 4_500 }, (_, number) => fact(number));
      asker.facts.publish(many);
      await asker.facts.confirm();
      expect((await fixture.storedFactIds()).length).toBe(many.length);
    });

    it('confirms nothing when there is nothing to confirm', async () => {
      await expect(scene().asker.facts.confirm()).resolves.toBeUndefined();
    });

    it('does not confirm what a wipe may have taken; published again, it does', async () => {
      const { fixture, asker } = scene();
      asker.facts.publish([fact(1)]);
      await fixture.wipeBroker();
      await expect(asker.facts.confirm()).rejects.toMatchObject({ code: 'BusUnavailable' });
      await untilDone(async () => {
        asker.facts.publish([fact(1), fact(2)]);
        await asker.facts.confirm();
      });
      expect(await fixture.storedFactIds()).toEqual(['fact-1', 'fact-2']);
    });

    it('loses nothing to a restart of the broker in the middle', async () => {
      const { fixture, asker } = scene();
      let confirmed = 0;
      const publishFrom = (first: number): void =>
        asker.facts.publish(Array.from({ length: 100 }, (_, index) => fact(first + index)));
      const restarted = fixture.restartBroker();
      while (confirmed < 1_000) {
        await untilDone(async () => {
          publishFrom(confirmed);
          await asker.facts.confirm();
        });
        confirmed += 100;
      }
      await restarted;
      expect(await fixture.storedFactIds()).toEqual(Array.from({ length: 1_000 }, (_, number) => `fact-${number}`));
    });
  });
}
