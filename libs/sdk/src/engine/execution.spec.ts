import { PerdureError } from '@perdure/kernel';
import { z } from 'zod';
import { ruleModel } from '../rule-model';
import { VirtualHost } from '../spec-kit/virtual-host';
import { tool } from '../tool';
import { HEARTBEAT_NOTED_EVERY_MS } from './bounds';
import type { Model, Tool, ToolScope } from './definitions';
import { callModel, runTool } from './execution';
import type { Ended } from './outcome';

const SILENCE_MS = 1_000;

/** A tool that has to show a sign of life, at work. */
function atWork(execute: (scope: ToolScope, host: VirtualHost) => Promise<unknown>) {
  const host = new VirtualHost();
  const digger = tool({
    name: 'dig',
    description: '',
    input: z.object({}),
    effect: 'idempotent',
    timeoutMs: 10_000,
    timeouts: { heartbeatMs: SILENCE_MS },
    execute: (_, scope) => execute(scope, host),
  }) as unknown as Tool;
  const noted: unknown[] = [];
  const progress = { last: { part: 7 }, record: (detail: string) => void noted.push(JSON.parse(detail)) };
  const use = { tool: digger, args: {}, attempt: 1, idempotencyKey: 'k', executionId: 'k/1', log: host.log, progress };
  let ended: Ended | undefined;
  void runTool({ host, signal: new AbortController().signal }, use).then((end) => (ended = end));
  return { host, noted, ended: () => ended };
}

const wait = (host: VirtualHost, ms: number) => new Promise<void>((resolve) => void host.timers.after(ms, resolve));

describe('a tool that has to show a sign of life', () => {
  it('is given up when it shows none in time, may be tried again, and is told', async () => {
    let signal: AbortSignal | undefined;
    const { host, ended } = atWork((scope) => {
      signal = scope.signal;
      return new Promise(() => undefined);
    });
    await host.passes(SILENCE_MS + 1);
    expect(ended()).toMatchObject({ ok: false, error: { code: 'ToolTimedOut', reaction: 'retryable' } });
    expect(signal?.aborted).toBe(true);
  });

  it('goes on as long as it shows them', async () => {
    const { host, ended } = atWork(async ({ heartbeat }, on) => {
      for (let part = 0; part < 5; part += 1) {
        await wait(on, SILENCE_MS - 1);
        heartbeat({ part });
      }
      return 'dug';
    });
    await host.passes(5 * SILENCE_MS);
    expect(ended()).toMatchObject({ ok: true, value: 'dug' });
  });

  it('still has to end within the limit of an attempt', async () => {
    const { host, ended } = atWork(async ({ heartbeat }, on) => {
      for (;;) {
        await wait(on, SILENCE_MS / 2);
        heartbeat();
      }
    });
    await host.passes(11_000);
    expect(ended()).toMatchObject({ ok: false, error: { code: 'ToolTimedOut', details: { timeoutMs: 10_000 } } });
  });
});

describe('what a tool says of how far it is', () => {
  it('is recorded at once, and then the newest of it every few seconds', async () => {
    const { host, noted } = atWork(async ({ heartbeat }, on) => {
      for (let part = 1; part <= 24; part += 1) {
        heartbeat({ part });
        await wait(on, 500);
      }
      return 'dug';
    });
    await host.passes(1);
    expect(noted).toEqual([{ part: 1 }]);
    await host.passes(HEARTBEAT_NOTED_EVERY_MS);
    expect(noted).toEqual([{ part: 1 }, { part: 10 }]);
    await host.passes(20_000);
    expect(noted).toHaveLength(3);
  });

  it('is recorded with a failure, and not with a success', async () => {
    const dig = (error?: Error) =>
      atWork(async ({ heartbeat }, on) => {
        heartbeat({ part: 1 });
        heartbeat({ part: 2 });
        await wait(on, 1);
        if (error !== undefined) throw error;
      });
    const [failing, succeeding] = [dig(new Error('a stone')), dig()];
    await failing.host.passes(2);
    await succeeding.host.passes(2);
    expect(failing.noted).toEqual([{ part: 1 }, { part: 2 }]);
    expect(succeeding.noted).toEqual([{ part: 1 }]);
  });

  it('is nothing when there is only a sign of life', async () => {
    const { host, noted } = atWork(async ({ heartbeat }) => heartbeat());
    await host.passes(1);
    expect(noted).toEqual([]);
  });

  it('was said before by another execution', async () => {
    const { host, ended } = atWork(async ({ lastHeartbeat }) => lastHeartbeat);
    await host.passes(1);
    expect(ended()).toMatchObject({ ok: true, value: { part: 7 } });
  });

  it.each([
    ['is too large', 'x'.repeat(5_000)],
    ['is no plain data', { at: () => 1 }],
  ])('is refused when it %s, in a way that does not say that nothing happened', async (_why, detail) => {
    let thrown: unknown;
    const { host, noted } = atWork(async ({ heartbeat }) => {
      try {
        heartbeat(detail);
      } catch (error) {
        thrown = error;
      }
    });
    await host.passes(1);
    expect(thrown).toMatchObject({ name: 'RangeError', code: 'InvalidHeartbeat' });
    expect(thrown).not.toBeInstanceOf(PerdureError);
    expect(noted).toEqual([]);
  });
});

describe('the bounds of a tool', () => {
  it('are refused when they cannot be kept', () => {
    const declare = (timeouts: object) => () =>
      tool({ name: 'dig', description: '', input: z.object({}), timeoutMs: 1_000, timeouts, execute: () => 1 });
    expect(declare({ heartbeatMs: 1_000 })).toThrow(/heartbeatMs shorter/);
    expect(declare({ totalMs: 0 })).toThrow(/The timeouts of dig/);
    expect(declare({ startToCloseMs: 5 })).toThrow(/The timeouts of dig/);
  });
});

describe('a model that gives its text in pieces', () => {
  function called(model: Model, signal = new AbortController().signal) {
    const heard: string[] = [];
    const tell = () => ({ add: (piece: string) => void heard.push(piece), end: () => void heard.push('end') });
    const use = { model, prompt: { instructions: '', messages: [], tools: [] }, promptHash: 'h', tell };
    return { heard, ended: callModel({ host: new VirtualHost(), signal }, use) };
  }

  it('is heard as it speaks, and its pieces are the text that is recorded', async () => {
    const { heard, ended } = called(ruleModel('m', () => 'so be it', { pieces: (text) => text.split(/(?<= )/) }));
    expect(await ended).toMatchObject({ ok: true, value: { text: 'so be it', finishReason: 'stop' } });
    expect(heard).toEqual(['so ', 'be ', 'it', 'end']);
  });

  it('is not announced when it says nothing', async () => {
    const { heard, ended } = called(ruleModel('m', () => ({ toolCalls: [] }), { pieces: (text) => [text] }));
    expect(await ended).toMatchObject({ ok: true, value: { text: '' } });
    expect(heard).toEqual([]);
  });

  it('is heard no more when the run is cancelled', async () => {
    const controller = new AbortController();
    const pieces = function* (): Generator<string> {
      yield 'so ';
      controller.abort(new Error('enough'));
      yield 'be it';
    };
    const { heard, ended } = called(
      ruleModel('m', () => '', { pieces }),
      controller.signal,
    );
    expect(await ended).toMatchObject({ ok: false, error: { message: 'enough' } });
    expect(heard).toEqual(['so ', 'end']);
  });
});
