import type { Delivery } from '@perdure/kernel';
import { eventually, untilDone, type Scene } from './bus-scene';

const BUCKET = 'perdure-leases';
const ALL_COMMANDS = 'perdure.part.*.cmd.*.run.*';

/** Commands that wait until somebody has handled them. */
export function durableCommands(scene: Scene): void {
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

/** Shared state with compare-and-set. */
export function keyValues(scene: Scene): void {
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
