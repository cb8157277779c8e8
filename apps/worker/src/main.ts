import { parseArgs } from 'node:util';
import { PerdureError, Terminal } from '@perdure/kernel';
import { Worker } from '@perdure/sdk';
import { loadEntry } from './load-entry';

const EXIT_CONFIGURATION = 2;
/** Work under way when the launcher is gone: another worker takes it over soon enough. */
const LIFELINE_GRACE_MS = 1_000;

async function start(): Promise<void> {
  const { values } = parseArgs({ options: { entry: { type: 'string' }, slots: { type: 'string' } } });
  if (values.entry === undefined)
    throw new Terminal('BadUsage', 'usage: worker --entry FILE [--slots N], with PERDURE_NATS_URL in the environment');
  const { PERDURE_NATS_URL, PERDURE_NATS_WORKER = '', PERDURE_WORKER_ID, PERDURE_TENANT, PERDURE_LIFELINE } = process.env;
  if (PERDURE_NATS_URL === undefined)
    throw new Terminal('BadUsage', 'PERDURE_NATS_URL is not set: the broker that this worker shall ask for work.');
  const [user, pass] = PERDURE_NATS_WORKER.split(':');
  const worker = new Worker({
    url: PERDURE_NATS_URL,
    ...(user && pass ? { user, pass } : {}),
    ...(PERDURE_WORKER_ID === undefined ? {} : { workerId: PERDURE_WORKER_ID }),
    ...(PERDURE_TENANT === undefined ? {} : { tenant: PERDURE_TENANT }),
    ...(values.slots === undefined ? {} : { slots: Number(values.slots) }),
    behaviours: await loadEntry(values.entry),
  });
  if (PERDURE_LIFELINE === '1') endWithLauncher(worker);
  await worker.start();
  process.stdout.write(`${JSON.stringify({ ready: true, service: 'worker', workerId: worker.workerId, pid: process.pid })}\n`);
}

function endWithLauncher(worker: Worker): void {
  const gone = (): void => {
    setTimeout(() => process.exit(0), LIFELINE_GRACE_MS).unref();
    void worker.stop().finally(() => process.exit(0));
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
