import type { GroupSettings } from '../wire/persistent-requests';
import type { Progress } from './message';

type CheckpointSettings = Pick<GroupSettings, 'checkpointAfterMs' | 'minCheckpointCount' | 'maxCheckpointCount'>;

/** When the place up to which everything is settled is worth writing down. */
export class CheckpointRule {
  private writtenAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly settings: CheckpointSettings,
    private last: Progress,
  ) {}

  /** Cheap: false when not even `reached`, the furthest that was handed out, would be enough for a checkpoint between ticks. */
  mayBeDue(reached: Progress): boolean {
    return this.distance(reached) >= Math.max(1, this.settings.maxCheckpointCount);
  }

  isDue(settled: Progress, at: { readonly nowMs: number; readonly isTick: boolean }): boolean {
    const distance = this.distance(settled);
    if (distance < 1) return false;
    if (distance >= this.settings.maxCheckpointCount) return true;
    const hasWaited = at.nowMs - this.writtenAtMs >= this.settings.checkpointAfterMs;
    return at.isTick && hasWaited && distance >= this.settings.minCheckpointCount;
  }

  onWritten(settled: Progress, nowMs: number): void {
    this.last = settled;
    this.writtenAtMs = nowMs;
  }

  private distance(progress: Progress): number {
    return progress.ordinal - this.last.ordinal;
  }
}
