import { InvariantViolated, partitionOf, token, type Token } from '@perdure/kernel';

export interface RunAddress {
  readonly tenant: Token;
  readonly runId: Token;
}

export function runAddress(tenant: string, runId: string): RunAddress {
  return { tenant: token(tenant, 'tenant'), runId: token(runId, 'run id') };
}

export const RUN_CATEGORY = 'run-';

export const runStream = {
  build: ({ tenant, runId }: RunAddress): string => `${RUN_CATEGORY}${tenant}.${runId}`,
  parse: (stream: string): RunAddress => {
    const dot = stream.indexOf('.');
    if (!stream.startsWith(RUN_CATEGORY) || dot < 0) throw new InvariantViolated(`${stream} is not the stream of a run`);
    return runAddress(stream.slice(RUN_CATEGORY.length, dot), stream.slice(dot + 1));
  },
};

/** Side stream of a run: its newest snapshot, `$maxCount` 1. */
export const snapshotStream = {
  build: ({ tenant, runId }: RunAddress): string => `snapshot-${tenant}.${runId}`,
};

/** How far the facts of runs are published, by owner: marks of `{position, partitions}`. */
export const PUBLISHED_STREAM = 'keeper-published';

/** Hot path: sent by callers and workers; the broker maps it to the partition of the run id. */
export const requestSubject = {
  build: ({ tenant, runId }: RunAddress): string => `perdure.req.${tenant}.run.${runId}`,
};

/** Durable commands: stored by the broker until their facts are appended. */
export const commandSubject = {
  build: ({ tenant, runId }: RunAddress): string => `perdure.cmd.${tenant}.run.${runId}`,
  /** All of them, as the broker has mapped them. */
  all: 'perdure.part.*.cmd.*.run.*',
  parse: (subject: string): RunAddress => parseMapped(subject, 'cmd'),
};

/** Where the owner of a partition listens. */
export const partitionSubject = {
  build: (partition: number): string => `perdure.part.${partition}.req.*.run.*`,
  parse: (subject: string): RunAddress => parseMapped(subject, 'req'),
};

function parseMapped(subject: string, kind: 'req' | 'cmd'): RunAddress {
  const [root, part, partition, found, tenant, context, runId, ...rest] = subject.split('.');
  if (root !== 'perdure' || part !== 'part' || found !== kind || context !== 'run' || rest.length > 0) {
    throw new InvariantViolated(`${subject} is not a mapped subject of a run`);
  }
  const address = runAddress(tenant ?? '', runId ?? '');
  if (Number(partition) !== partitionOf(address.runId)) {
    throw new InvariantViolated(`${subject}: the broker's partition is not ${partitionOf(address.runId)}`);
  }
  return address;
}

/** Published facts. */
export const eventSubject = {
  build: ({ tenant, runId }: RunAddress, eventType: string): string => `perdure.evt.${tenant}.run.${kebab(eventType)}.${runId}`,
  /** Every fact of one run. */
  ofRun: ({ tenant, runId }: RunAddress): string => `perdure.evt.${tenant}.run.*.${runId}`,
  /** One type of fact of all runs of all tenants. */
  ofType: (eventType: string): string => `perdure.evt.*.run.${kebab(eventType)}.*`,
  parse: (subject: string): RunAddress => {
    const [root, kind, tenant, context, , runId] = subject.split('.');
    if (root !== 'perdure' || kind !== 'evt' || context !== 'run') throw new InvariantViolated(`${subject} is not a run's fact`);
    return runAddress(tenant ?? '', runId ?? '');
  },
};

export interface WorkerAddress {
  readonly tenant: Token;
  readonly pool: Token;
  readonly workerId: Token;
}

export function workerAddress(address: { tenant: string; pool: string; workerId: string }): WorkerAddress {
  return {
    tenant: token(address.tenant, 'tenant'),
    pool: token(address.pool, 'pool'),
    workerId: token(address.workerId, 'worker id'),
  };
}

/** Where a worker listens for activations and inbound facts. */
export const workSubject = {
  build: ({ tenant, pool, workerId }: WorkerAddress): string => `perdure.work.${pool}.${tenant}.${workerId}`,
};

/** Heartbeats, published by a thread of the worker's own. */
export const heartbeatSubject = {
  build: ({ tenant, pool, workerId }: WorkerAddress): string => `perdure.svc.worker.${tenant}.${pool}.${workerId}`,
  all: 'perdure.svc.worker.*.*.*',
};

/** Name of a worker's heartbeat connection at the broker, by which its sudden end is recognised. */
export const workerConnectionName = {
  build: (workerId: Token, sessionId: Token): string => `worker:${workerId}:${sessionId}`,
  parse: (name: string): { workerId: string; sessionId: string } | undefined => {
    const [kind, workerId, sessionId] = name.split(':');
    return kind === 'worker' && workerId && sessionId ? { workerId, sessionId } : undefined;
  },
};

/** The text of model calls as it comes: never stored, never the truth. */
export const tokenSubject = {
  build: ({ tenant, runId }: RunAddress): string => `perdure.tok.${tenant}.${runId}`,
};

/** Where the worker that makes model calls of a run is asked for what was missed of their text. */
export const tokenRequestSubject = {
  build: ({ tenant, runId }: RunAddress): string => `perdure.svc.tokens.${tenant}.${runId}`,
};

/** Of each type of event, once. */
const kebabs = new Map<string, string>();

function kebab(eventType: string): string {
  const known = kebabs.get(eventType);
  if (known !== undefined) return known;
  const made = eventType.replace(/([a-z0-9])([A-Z])/g, '$1-$2').toLowerCase();
  kebabs.set(eventType, made);
  return made;
}
