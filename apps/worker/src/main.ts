import { parseArgs } from 'node:util';
import { PerdureError, Terminal } from '@perdure/kernel';
import { systemHost } from '@perdure/platform-host-node';
import { defaultWorkerId, Worker } from '@perdure/sdk';
import { entryOf, loadEntry, poolsOf } from './load-entry';

const EXIT_CONFIGURATION = 2;
/** Work under way when the launcher is gone: another worker takes it over soon enough. */
const LIFELINE_GRACE_MS = 1_000;

async function start(): Promise<void> {
  const options = { entry: { type: 'string' }, pool: { type: 'string' }, slots: { type: 'string' } } as const;
  const { values } = parseArgs({ options });
  if (values.entry === undefined)
    throw new Terminal(
      'BadUsage',
      'usage: worker --entry FILE [--pool NAME] [--slots N], with PERDURE_NATS_URL in the environment',
    );
  const { PERDURE_LIFELINE, PERDURE_WORKER_ID } = process.env;
  const workerId = PERDURE_WORKER_ID ?? defaultWorkerId();
  const workers = await workersOf(values.entry, { ...values, workerId });
  endInOrder(workers, PERDURE_LIFELINE === '1');
  await Promise.all(workers.map((worker) => worker.start()));
  const pools = workers.map(({ pool }) => pool);
  process.stdout.write(`${JSON.stringify({ ready: true, service: 'worker', workerId, pools, pid: process.pid })}\n`);
}

interface Chosen {
  readonly pool?: string | undefined;
  readonly slots?: string | undefined;
  readonly workerId: string;
}

/** One for each pool that the file has something for, or for the one that was asked for: each is a worker of its own. */
async function workersOf(file: string, { pool, slots, workerId }: Chosen): Promise<readonly Worker[]> {
  const {
    PERDURE_NATS_URL: url,
    PERDURE_NATS_WORKER = '',
    PERDURE_TENANT: tenant,
    PERDURE_CRASH_POINT: crashPoint,
  } = process.env;
  if (url === undefined)
    throw new Terminal('BadUsage', 'PERDURE_NATS_URL is not set: the broker that this worker shall ask for work.');
  const [user, pass] = PERDURE_NATS_WORKER.split(':');
  const entry = await loadEntry(file);
  const pools = poolsOf(entry);
  if (pool !== undefined && !pools.includes(pool))
    throw new Terminal('PoolEmpty', `${file} has nothing for the pool ${pool}; it has something for ${pools.join(', ')}.`);
  return (pool === undefined ? pools : [pool]).map(
    (each) =>
      new Worker({
        url,
        ...(user && pass ? { user, pass } : {}),
        ...(tenant === undefined ? {} : { tenant }),
        ...(slots === undefined ? {} : { slots: Number(slots) }),
        ...entryOf(each, entry),
        workerId,
        pool: each,
        handleSignals: false,
        host: systemHost({ service: `worker-${workerId}`, crashPoint }),
      }),
  );
}

/** Asked to end, they finish or hand over; the launcher gone, they let go. */
function endInOrder(workers: readonly Worker[], isTied: boolean): void {
  let isEnding = false;
  const drain = (): void => {
    // Asked a second time, it does not insist on its manners.
    if (isEnding) process.exit(1);
    isEnding = true;
    void Promise.all(workers.map((worker) => worker.drain())).then(() => process.exit(0));
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, drain);
  if (!isTied) return;
  const gone = (): void => {
    setTimeout(() => process.exit(0), LIFELINE_GRACE_MS).unref();
    void Promise.all(workers.map((worker) => worker.stop())).finally(() => process.exit(0));
  };
  process.stdin.once('end', gone).once('close', gone).once('error', gone);
  process.stdin.resume();
}

start().catch((thrown: unknown) => {
  process.stderr.write(
    `${thrown instanceof PerdureError ? `${thrown.code}: ${thrown.message}` : thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}\n`,
  );
  process.exit(thrown instanceof PerdureError && thrown.reaction === 'terminal' ? EXIT_CONFIGURATION : 1);
});
