import { Cancelled, NoResponders, RequestTimedOut, Retryable, Terminal, type Bus } from '@perdure/kernel';
import { commandEnvelope, type RunCommand, type RunOutcome } from '@perdure/run-contract';
import { z } from 'zod';
import { Client } from './client';
import { VirtualHost } from './spec-kit/virtual-host';
import { workflow } from './workflow';

const order = workflow({ name: 'order', pool: 'shop', input: z.object({ cents: z.number() }) }, (_, { cents }) => ({
  paid: cents,
}));

/** Answers each command from a script; what the script throws stands for the bus. */
function world(answer: (command: RunCommand, attempt: number) => unknown) {
  const host = new VirtualHost();
  const sent: { subject: string; payload: string; command: RunCommand }[] = [];
  const bus: Bus = {
    request: async (subject, payload) => {
      const { command } = commandEnvelope.parse(JSON.parse(payload));
      sent.push({ subject, payload, command });
      return JSON.stringify(answer(command, sent.length));
    },
    publish: () => undefined,
    subscribe: () => ({ close: async () => undefined }),
    onReconnect: () => ({ close: async () => undefined }),
  };
  const client = new Client({ bus, host }, { tenant: 'acme' });
  /** Lets time pass until it is settled. */
  const settle = async <T>(work: Promise<T>): Promise<T> => {
    let isSettled = false;
    const end = (): void => void (isSettled = true);
    work.then(end, end);
    await host.until(() => isSettled);
    return work;
  };
  return { client, sent, settle };
}

const ok = (value: unknown) => ({ ok: true, value });
const startedAs = (runId: string) => ok({ runId, started: true });

function view(outcome?: RunOutcome): unknown {
  return ok({
    runId: 'run1',
    tenant: 'acme',
    kind: 'workflow',
    name: 'order',
    status: outcome === undefined ? 'active' : 'ended',
    revision: 3,
    epoch: 1,
    requestedAtMs: 1,
    cancelRequested: false,
    waitingOn: [],
    ...(outcome === undefined ? {} : { outcome }),
  });
}

describe('a client', () => {
  it('repeats the identical request until it is answered', async () => {
    const { client, sent, settle } = world((_, attempt) => {
      if (attempt === 1) throw new NoResponders('x');
      if (attempt === 2) throw new RequestTimedOut('x', 1);
      return startedAs('run1');
    });
    expect((await settle(client.start(order, { cents: 5 }))).runId).toBe('run1');
    expect(new Set(sent.map(({ payload }) => payload)).size).toBe(1);
    expect(sent[0]?.command).toEqual({ type: 'StartRun', name: 'order', kind: 'workflow', pool: 'shop', input: { cents: 5 } });
  });

  it('gives up when its patience is at an end', async () => {
    const { client, settle } = world(() => {
      throw new NoResponders('x');
    });
    await expect(settle(client.start('order', {}))).rejects.toBeInstanceOf(Retryable);
  });

  it('names a run after its idempotency key', async () => {
    const { client, sent, settle } = world(() => startedAs('any'));
    await settle(client.start('order', {}, { idempotencyKey: 'k1' }));
    await settle(client.start('order', {}, { idempotencyKey: 'k1' }));
    await settle(client.start('order', {}, { idempotencyKey: 'k2' }));
    const subjects = sent.map(({ subject }) => subject);
    expect(subjects[0]).toMatch(/^perdure\.req\.acme\.run\.[0-9a-f]{32}$/);
    expect(subjects[1]).toBe(subjects[0]);
    expect(subjects[2]).not.toBe(subjects[0]);
  });

  it('does not send an input that does not fit', async () => {
    const { client, sent } = world(() => startedAs('run1'));
    await expect(client.start(order, { cents: 'five' as unknown as number })).rejects.toMatchObject({ code: 'InvalidInput' });
    expect(sent).toEqual([]);
  });

  it('waits until the run has ended', async () => {
    const { client, settle } = world((_, attempt) => (attempt < 4 ? view() : view({ status: 'completed', output: { paid: 5 } })));
    expect(await settle(client.get('run1').result())).toEqual({ paid: 5 });
  });

  it.each([
    [{ status: 'failed', error: { code: 'CardDeclined', message: 'no', reaction: 'terminal' } }, Terminal, 'CardDeclined'],
    [{ status: 'cancelled', reason: 'enough' }, Cancelled, 'RunCancelled'],
    [{ status: 'terminated', reason: 'wild', leftOpen: [] }, Terminal, 'RunTerminated'],
    [{ status: 'timed-out', deadlineAtMs: 9 }, Terminal, 'RunTimedOut'],
    [{ status: 'refused', code: 'QueueFull', message: 'later', retryAfterMs: 100 }, Retryable, 'QueueFull'],
  ] as const)('throws the error of the run by its reaction: %j', async (outcome, type, code) => {
    const { client, settle } = world(() => view(outcome as RunOutcome));
    const result = settle(client.get('run1').result());
    await expect(result).rejects.toBeInstanceOf(type);
    await expect(result).rejects.toMatchObject({ code, details: { runId: 'run1' } });
  });

  it('throws what the owner refuses, at once', async () => {
    const { client, sent, settle } = world(() => ({
      ok: false,
      error: { code: 'RunNotFound', message: 'none', reaction: 'terminal' },
    }));
    await expect(settle(client.cancel('run1'))).rejects.toMatchObject({ code: 'RunNotFound' });
    expect(sent).toHaveLength(1);
  });
});
