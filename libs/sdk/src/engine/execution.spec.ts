import { z } from 'zod';
import { VirtualHost } from '../spec-kit/virtual-host';
import { tool } from '../tool';
import type { Tool, ToolScope } from './definitions';
import { runTool } from './execution';
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
  const use = { tool: digger, args: {}, attempt: 1, idempotencyKey: 'k', executionId: 'k/1', log: host.log };
  let ended: Ended | undefined;
  void runTool({ host, signal: new AbortController().signal }, use).then((end) => (ended = end));
  return { host, ended: () => ended };
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

describe('the bounds of a tool', () => {
  it('are refused when they cannot be kept', () => {
    const declare = (timeouts: object) => () =>
      tool({ name: 'dig', description: '', input: z.object({}), timeoutMs: 1_000, timeouts, execute: () => 1 });
    expect(declare({ heartbeatMs: 1_000 })).toThrow(/heartbeatMs shorter/);
    expect(declare({ totalMs: 0 })).toThrow(/The timeouts of dig/);
    expect(declare({ startToCloseMs: 5 })).toThrow(/The timeouts of dig/);
  });
});
