import type { FiringLine, ScheduleEvent, ScheduleEventOf } from '@perdure/schedule-contract';

type Later = Pick<FiringLine, 'status' | 'endedAtMs' | 'result' | 'error'>;

/**
 * What has become of the times of a schedule, from its facts, read backward: whatever a line is to say of a firing was told
 * before the fact that decided it comes by.
 */
export class FiringHistory {
  readonly lines: FiringLine[] = [];
  /** By run id: of runs whose decision is older. */
  private readonly later = new Map<string, Later>();
  /** Times that waited and then were decided anew. */
  private readonly waited = new Set<string>();
  private deletedSince = false;

  /** The fact before the last one that was added. */
  add(event: ScheduleEvent): void {
    switch (event.type) {
      case 'FiringEnded':
        this.later.set(event.data.runId, { status: 'ended', endedAtMs: event.data.atMs, result: event.data.result });
        return;
      case 'FiringRefused': {
        const { runId, error, atMs } = event.data;
        this.later.set(runId, { status: 'ended', endedAtMs: atMs, result: 'refused', error });
        return;
      }
      case 'FiringCancelRequested':
        return this.note(event.data.runId, 'cancelling');
      case 'FiringStarted':
        return this.note(event.data.runId, 'started');
      case 'FiringDue':
        return this.due(event.data);
      case 'FiringBuffered':
        return this.buffered(event.data);
      case 'FiringSkipped': {
        const { nominalAtMs, cause, atMs, reason } = event.data;
        if (reason === 'replaced') this.waited.add(keyOf(event.data));
        this.lines.push({ nominalAtMs, cause, atMs, status: 'skipped', skipped: reason });
        return;
      }
      case 'FiringsMissed': {
        const { firstMs: nominalAtMs, atMs, ...missed } = event.data;
        this.lines.push({ nominalAtMs, cause: { by: 'times' }, atMs, status: 'missed', missed });
        return;
      }
      case 'ScheduleDeleted':
        this.deletedSince = true;
        return;
      case 'ScheduleCreated':
      case 'ScheduleUpdated':
      case 'SchedulePaused':
      case 'ScheduleResumed':
      case 'ScheduleErased':
      case 'BackfillRequested':
      case 'BackfillEnded':
        return;
    }
  }

  private note(runId: string, status: 'cancelling' | 'started'): void {
    if (!this.later.has(runId)) this.later.set(runId, { status });
  }

  private due({ runId, nominalAtMs, cause, atMs, wasBuffered, ...rest }: ScheduleEventOf<'FiringDue'>['data']): void {
    const later = this.later.get(runId) ?? { status: 'due' as const };
    this.later.delete(runId);
    if (wasBuffered === true) this.waited.add(keyOf({ nominalAtMs, cause, ...rest }));
    this.lines.push({ nominalAtMs, cause, atMs, runId, ...later });
  }

  private buffered({ nominalAtMs, cause, atMs }: ScheduleEventOf<'FiringBuffered'>['data']): void {
    if (this.waited.delete(keyOf({ nominalAtMs, cause }))) return;
    this.lines.push({ nominalAtMs, cause, atMs, status: this.deletedSince ? 'dropped' : 'waiting' });
  }
}

function keyOf({ nominalAtMs, cause }: Pick<FiringLine, 'nominalAtMs' | 'cause'>): string {
  return `${nominalAtMs}/${cause.by}/${'id' in cause ? cause.id : ''}`;
}
