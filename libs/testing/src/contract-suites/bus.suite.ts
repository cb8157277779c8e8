import type { Bus, CommandBus, Delivery, FactBus, Headers, KeyValue } from '@perdure/kernel';

/** One process on the bus. */
export interface BusProcess {
  readonly bus: Bus;
  readonly facts: FactBus;
  readonly commands: CommandBus;
  keyValue(bucket: string): KeyValue;
  /** What it has subscribed to is known to the broker. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

export interface BusFixture {
  connect(name: string): Promise<BusProcess>;
  /** The broker is killed and started again; what it had stored is there. */
  restartBroker(): Promise<void>;
  /** The broker is killed, all that it had stored is deleted, and it is started again. */
  wipeBroker(): Promise<void>;
  storedFactIds(): Promise<readonly string[]>;
  deadLetters(): Promise<readonly { readonly payload: string; readonly headers: Headers }[]>;
  stop(): Promise<void>;
}

const BUCKET = 'perdure-leases';
const TIMEOUT_MS = 2_000;
const ALL_COMMANDS = 'perdure.part.*.cmd.*.run.*';

/** Waits for what must happen in the end; the time limit of the test is the bound. */
async function eventually(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await new Promise((resolve) => setImmediate(resolve));
}

/** Repeats what may fail while the broker is away, as every caller does. */
async function untilDone<T>(attempt: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await attempt();
    } catch {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

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
    commands(() => ({ fixture, asker, answerer }));
    keyValues(() => ({ fixture, asker, answerer }));
  });
}

type Scene = () => { readonly fixture: BusFixture; readonly asker: BusProcess; readonly answerer: BusProcess };

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

function commands(scene: Scene): void {
  const consumer = { name: 'runs', subject: ALL_COMMANDS, concurrency: 4 };

  describe('commands', () => {
    it('keeps a command until somebody has handled it', async () => {
      const { asker, answerer } = scene();
      await asker.commands.publish('perdure.cmd.acme.run.r1', 'start', { messageId: 'c1', headers: { actor: 'kim' } });
      const got: Delivery[] = [];
      const consuming = answerer.commands.consume(consumer, async (delivery) => {
        got.push(delivery);
        await delivery.ack();
      });
      await eventually(() => got.length === 1);
      expect(got[0]).toMatchObject({ payload: 'start', attempt: 1 });
      expect(got[0]?.subject).toMatch(/^perdure\.part\.\d+\.cmd\.acme\.run\.r1$/);
      expect(got[0]?.headers).toMatchObject({ actor: 'kim' });
      await consuming.close();
    });

    it('delivers again after a failure and after a request for later, counting the attempts', async () => {
      const { asker, answerer } = scene();
      const attempts: number[] = [];
      const consuming = answerer.commands.consume(consumer, async (delivery) => {
        attempts.push(delivery.attempt);
        if (delivery.attempt === 1) throw new Error('not now');
        if (delivery.attempt === 2) return delivery.retryLater(1);
        await delivery.ack();
      });
      await asker.commands.publish('perdure.cmd.acme.run.r1', '', { messageId: 'c1' });
      await eventually(() => attempts.length === 3);
      expect(attempts).toEqual([1, 2, 3]);
      await consuming.close();
    });

    it('puts away what nobody can handle, and goes on with the others', async () => {
      const { fixture, asker, answerer } = scene();
      const handled: string[] = [];
      const consuming = answerer.commands.consume({ ...consumer, concurrency: 1 }, async (delivery) => {
        if (delivery.payload === 'poison') return delivery.deadLetter('no such\r\ncommand');
        handled.push(delivery.payload);
        await delivery.ack();
      });
      for (const [index, payload] of ['one', 'poison', 'two'].entries()) {
        await asker.commands.publish(`perdure.cmd.acme.run.r${index}`, payload, {
          messageId: `c${index}`,
          headers: { actor: 'kim' },
        });
      }
      await eventually(() => handled.length === 2);
      await eventually(async () => (await fixture.deadLetters()).length === 1);
      const [letter] = await fixture.deadLetters();
      expect(letter?.payload).toBe('poison');
      expect(letter?.headers).toMatchObject({ actor: 'kim', 'perdure-dead-consumer': 'runs' });
      expect(letter?.headers['perdure-dead-reason']).toMatch(/^no such\s+command$/);
      await consuming.close();
    });

    it('has no more under way than agreed', async () => {
      const { asker, answerer } = scene();
      let underWay = 0;
      let most = 0;
      let done = 0;
      const consuming = answerer.commands.consume({ ...consumer, concurrency: 3 }, async (delivery) => {
        underWay += 1;
        most = Math.max(most, underWay);
        await new Promise((resolve) => setImmediate(resolve));
        underWay -= 1;
        await delivery.ack();
        done += 1;
      });
      await Promise.all(
        Array.from({ length: 30 }, (_, index) =>
          asker.commands.publish(`perdure.cmd.acme.run.r${index}`, '', { messageId: `c${index}` }),
        ),
      );
      await eventually(() => done === 30);
      expect(most).toBeLessThanOrEqual(3);
      await consuming.close();
    });

    it('stores a repeated id once', async () => {
      const { asker, answerer } = scene();
      const got: string[] = [];
      for (const payload of ['first', 'repeat'])
        await asker.commands.publish('perdure.cmd.acme.run.r1', payload, { messageId: 'same' });
      await asker.commands.publish('perdure.cmd.acme.run.r2', 'last', { messageId: 'other' });
      const consuming = answerer.commands.consume({ ...consumer, concurrency: 1 }, async (delivery) => {
        got.push(delivery.payload);
        await delivery.ack();
      });
      await eventually(() => got.includes('last'));
      expect(got).toEqual(['first', 'last']);
      await consuming.close();
    });

    it('goes on by itself after a restart, with what was waiting', async () => {
      const { fixture, asker, answerer } = scene();
      const got: string[] = [];
      await asker.commands.publish('perdure.cmd.acme.run.r1', 'before', { messageId: 'c1' });
      await fixture.restartBroker();
      const consuming = answerer.commands.consume(consumer, async (delivery) => {
        got.push(delivery.payload);
        await delivery.ack();
      });
      await untilDone(() => asker.commands.publish('perdure.cmd.acme.run.r2', 'after', { messageId: 'c2' }));
      await eventually(() => got.includes('before') && got.includes('after'));
      await consuming.close();
    });

    it('goes on by itself after a wipe: the publisher repeats, the consumer is made again', async () => {
      const { fixture, asker, answerer } = scene();
      const got: string[] = [];
      const consuming = answerer.commands.consume(consumer, async (delivery) => {
        got.push(delivery.payload);
        await delivery.ack();
      });
      await asker.commands.publish('perdure.cmd.acme.run.r1', 'before', { messageId: 'c1' });
      await eventually(() => got.length === 1);
      await fixture.wipeBroker();
      await untilDone(() => asker.commands.publish('perdure.cmd.acme.run.r2', 'after', { messageId: 'c2' }));
      await eventually(() => got.includes('after'));
      await consuming.close();
    });
  });
}

function keyValues(scene: Scene): void {
  describe('key-value', () => {
    it('sets only what nobody has changed since', async () => {
      const store = scene().asker.keyValue(BUCKET);
      const first = await store.compareAndSet('a.b', '1', 0);
      expect(first).toBeGreaterThan(0);
      expect(await store.compareAndSet('a.b', 'other', 0)).toBeUndefined();
      const second = await store.compareAndSet('a.b', '2', first ?? 0);
      expect(await store.compareAndSet('a.b', 'other', first ?? 0)).toBeUndefined();
      expect(await store.get('a.b')).toEqual({ key: 'a.b', value: '2', revision: second });
      expect(await store.get('a.c')).toBeUndefined();
    });

    it('lets one of many win', async () => {
      const store = scene().asker.keyValue(BUCKET);
      const outcomes = await Promise.all(Array.from({ length: 20 }, (_, index) => store.compareAndSet('race', String(index), 0)));
      expect(outcomes.filter((outcome) => outcome !== undefined).length).toBe(1);
    });

    it('may be created again after it was deleted', async () => {
      const store = scene().asker.keyValue(BUCKET);
      await store.put('a', '1');
      await store.delete('a');
      expect(await store.get('a')).toBeUndefined();
      expect(await store.compareAndSet('a', '2', 0)).toBeGreaterThan(0);
    });

    it('shows what is there, then every change, under a prefix', async () => {
      const { asker, answerer } = scene();
      const store = asker.keyValue(BUCKET);
      await store.put('team.a', '1');
      await store.put('other.a', 'x');
      const seen: string[] = [];
      const watching = answerer.keyValue(BUCKET).watch('team.>', (key, value) => seen.push(`${key}=${value ?? 'gone'}`));
      await eventually(() => seen.length === 1);
      await store.put('team.b', '2');
      await store.delete('team.a');
      await eventually(() => seen.length === 3);
      expect(seen).toEqual(['team.a=1', 'team.b=2', 'team.a=gone']);
      await watching.close();
    });

    it('tells of what a wipe took, and of what is written after it', async () => {
      const { fixture, asker, answerer } = scene();
      const store = asker.keyValue(BUCKET);
      await store.put('team.a', '1');
      const seen = new Map<string, string | undefined>();
      const watching = answerer.keyValue(BUCKET).watch('team.>', (key, value) => seen.set(key, value));
      await eventually(() => seen.get('team.a') === '1');
      await fixture.wipeBroker();
      await eventually(() => seen.has('team.a') && seen.get('team.a') === undefined);
      await untilDone(() => store.put('team.b', '2'));
      await eventually(() => seen.get('team.b') === '2');
      await watching.close();
    });
  });
}
