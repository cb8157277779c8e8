import { parentPort, workerData } from 'node:worker_threads';
import { token } from '@perdure/kernel';
import { systemHost } from '@perdure/platform-host-node';
import { workerConnectionName } from '@perdure/run-contract';
import { connect } from './connection';
import { HeartbeatLoop } from './engine/heartbeat';
import type { WorkerStatus } from './engine/worker-engine';
import type { HeartbeatThreadData, ToHeartbeatThread } from './heartbeat-thread-port';

/**
 * The thread that says that the worker lives: it goes on while user code blocks the main thread, and says for
 * how long. It has a connection of its own, whose sudden end the broker reports.
 */
async function main({ connection, identity, status: first, pulse }: HeartbeatThreadData): Promise<void> {
  const host = systemHost({ service: `heartbeat-${identity.workerId}` });
  const name = workerConnectionName.build(token(identity.workerId, 'worker id'), token(identity.sessionId, 'session id'));
  const { bus, flush, close } = await connect(connection, name, host);
  let status: WorkerStatus = first;
  const loop = new HeartbeatLoop({ host, bus, identity, status: () => status, loopLagMs: lagMeter(new Int32Array(pulse)) });
  parentPort?.on('message', (message: ToHeartbeatThread) => {
    if (message.type === 'status') {
      ({ status } = message);
      loop.beatNow();
      return;
    }
    loop.leave();
    void flush()
      .then(close)
      .finally(() => {
        parentPort?.postMessage('left');
        parentPort?.close();
      });
  });
  loop.start();
  await flush();
  parentPort?.postMessage('beating');
}

/** How long the main thread has not moved its pulse. */
function lagMeter(pulse: Int32Array): () => number {
  let seen = Atomics.load(pulse, 0);
  let movedAtMs = performance.now();
  // Looked at between heartbeats too, so that a pulse is not taken for older than it is.
  setInterval(() => look(), LOOK_EVERY_MS).unref();
  function look(): number {
    const now = performance.now();
    const value = Atomics.load(pulse, 0);
    if (value !== seen) movedAtMs = now;
    seen = value;
    return Math.round(now - movedAtMs);
  }
  return look;
}

const LOOK_EVERY_MS = 50;

void main(workerData as HeartbeatThreadData);
