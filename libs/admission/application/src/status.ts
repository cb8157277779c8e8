import {
  admissionStatusRequest,
  type AdmissionStatus,
  type AdmissionStatusRequest,
  type WaitReason,
} from '@perdure/admission-contract';
import type { PermitLedger, RunRecord, Workers } from '@perdure/admission-domain';
import type { Dispatcher } from './dispatcher';

export interface StatusSources {
  readonly ledger: PermitLedger;
  readonly workers: Workers;
  /** Undefined while the leader is starting. */
  readonly dispatcher: Dispatcher | undefined;
  readonly nowMs: number;
}

/** @returns undefined when the request is none */
export function parseStatusRequest(payload: string): AdmissionStatusRequest | undefined {
  try {
    const parsed = admissionStatusRequest.safeParse(JSON.parse(payload));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** Where a run stands, and why it waits. */
export function statusOf(request: AdmissionStatusRequest, sources: StatusSources): AdmissionStatus {
  const record = sources.ledger.get(request);
  if (record === undefined) return { state: 'unknown' };
  const { pool, workerId } = record;
  switch (record.state) {
    case 'idle':
      return { state: 'idle', pool };
    case 'held':
      return { state: 'held', pool, ...(workerId === undefined ? {} : { workerId }) };
    case 'granted':
      return { state: 'releasing', pool, workerId: workerId ?? '' };
    case 'refusing':
    case 'waiting':
      return queued(record, sources);
  }
}

function queued(record: RunRecord, sources: StatusSources): AdmissionStatus {
  const { pool, name, sinceMs } = record;
  const queue = sources.dispatcher?.queue(record);
  const position = queue?.positionOf(record) ?? 1;
  return {
    state: 'queued',
    pool,
    name,
    position,
    queueLength: queue?.length ?? 0,
    sinceMs,
    why: whyOf(record, position, sources),
  };
}

function whyOf(record: RunRecord, position: number, { dispatcher, workers, nowMs }: StatusSources): WaitReason {
  if (dispatcher === undefined) return 'leader-starting';
  if (dispatcher.isRetrying(record)) return 'trying-again';
  const room = workers.look(record, nowMs);
  if (room === 'no-worker') return room;
  if (position > 1) return 'behind-others';
  return room === 'free' ? 'next' : room;
}
