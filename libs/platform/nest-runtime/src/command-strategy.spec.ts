import 'reflect-metadata';
import { Controller, type INestMicroservice, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, MessagePattern, Payload } from '@nestjs/microservices';
import { Retryable, Terminal } from '@perdure/kernel';
import { MemoryBroker, type MemoryConnection } from '@perdure/platform-bus-memory';
import { ManualHost } from '@perdure/testing';
import { CommandStrategy, type CommandContext } from './command-strategy';
import { PassErrorsOn } from './pass-errors-on.filter';

const INBOX = '_INBOX.spec.1';

@Controller()
class SpecController {
  static handle: (payload: string, context: CommandContext) => Promise<unknown>;

  @MessagePattern('perdure.part.*.cmd.*.run.*')
  command(@Payload() payload: string, @Ctx() context: CommandContext): Promise<unknown> {
    return SpecController.handle(payload, context);
  }
}

@Module({ controllers: [SpecController] })
class SpecModule {}

describe('durable commands as a Nest transport', () => {
  let host: ManualHost;
  let broker: MemoryBroker;
  let publisher: MemoryConnection;
  let app: INestMicroservice;
  let answers: unknown[];

  beforeEach(async () => {
    host = new ManualHost();
    broker = new MemoryBroker({ timers: host.timers });
    publisher = broker.connect('publisher');
    answers = [];
    publisher.bus.subscribe(INBOX, ({ payload }) => void answers.push(JSON.parse(payload)));
    const { commands, bus } = broker.connect('service');
    app = await NestFactory.createMicroservice(SpecModule, {
      strategy: new CommandStrategy({ commands, bus, consumer: 'runs' }),
      logger: false,
    });
    app.useGlobalFilters(new PassErrorsOn());
    await app.listen();
  });

  afterEach(() => app.close());

  const publish = async (payload: string, reply = INBOX): Promise<void> => {
    await publisher.commands.publish('perdure.cmd.acme.run.r1', payload, {
      messageId: payload,
      headers: { 'perdure-reply': reply },
    });
    await host.settle();
  };

  it('answers and acknowledges what was handled', async () => {
    SpecController.handle = async (payload, context) => ({ payload, ...context });
    await publish('start');
    expect(answers).toEqual([
      { payload: 'start', subject: expect.stringMatching(/^perdure\.part\.\d+\.cmd\.acme\.run\.r1$/), attempt: 1 },
    ]);
    expect(broker.commands.size).toBe(0);
  });

  it('tries again later what is retryable, for as long as it takes', async () => {
    let attempts = 0;
    SpecController.handle = async () => {
      attempts += 1;
      if (attempts < 20) throw new Retryable('Busy', 'Try again.', { retryAfterMs: 100 });
      return 'done';
    };
    await publish('start');
    await host.advance(5_000);
    expect(answers).toEqual(['done']);
    expect(broker.deadLetters).toEqual([]);
  });

  it('puts away at once what is terminal or cannot be read, and says why', async () => {
    SpecController.handle = async (payload) => {
      if (payload === 'refused') throw new Terminal('NoSuchCommand', 'There is none.');
      return JSON.parse(payload);
    };
    await publish('refused');
    await publish('{bad json');
    expect(broker.deadLetters.map(({ headers }) => headers['perdure-dead-reason'])).toEqual([
      'NoSuchCommand: There is none.',
      expect.stringMatching(/^SyntaxError/),
    ]);
    expect(answers).toMatchObject([
      { ok: false, error: { code: 'NoSuchCommand' } },
      { ok: false, error: { code: 'SyntaxError' } },
    ]);
    expect(broker.commands.size).toBe(0);
  });

  it('gives up on what nobody has foreseen, but not at once', async () => {
    const attempts: number[] = [];
    SpecController.handle = async (_, { attempt }) => {
      attempts.push(attempt);
      throw new TypeError('a bug, or a passing fault');
    };
    await publish('start');
    expect(broker.deadLetters).toEqual([]);
    await host.advance(60_000);
    expect(attempts).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(broker.deadLetters.length).toBe(1);
  });

  it('answers into private inboxes only', async () => {
    SpecController.handle = async () => 'answer';
    const stolen: string[] = [];
    publisher.bus.subscribe('perdure.evt.>', ({ subject }) => void stolen.push(subject));
    await publish('one', 'perdure.evt.acme.run.forged.r1');
    await publish('two', '_INBOX.a..b');
    expect([stolen, answers, broker.commands.size, broker.deadLetters.length]).toEqual([[], [], 0, 0]);
  });
});
