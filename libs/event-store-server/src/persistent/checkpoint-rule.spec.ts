import { CheckpointRule } from './checkpoint-rule';
import type { Progress } from './message';

const at = (ordinal: number): Progress => ({ place: ordinal * 10, ordinal });

function rule() {
  const settings = { checkpointAfterMs: 2000, minCheckpointCount: 10, maxCheckpointCount: 100 };
  return new CheckpointRule(settings, at(0));
}

describe('a checkpoint', () => {
  it('is due at once when as many are settled as may be', () => {
    expect(rule().isDue(at(99), { nowMs: 0, isTick: false })).toBe(false);
    expect(rule().isDue(at(100), { nowMs: 0, isTick: false })).toBe(true);
    expect(rule().mayBeDue(at(99))).toBe(false);
    expect(rule().mayBeDue(at(100))).toBe(true);
  });

  it('is due on a tick when enough are settled, and the last one is old enough', () => {
    const checkpoints = rule();
    expect(checkpoints.isDue(at(10), { nowMs: 0, isTick: false })).toBe(false);
    expect(checkpoints.isDue(at(9), { nowMs: 0, isTick: true })).toBe(false);
    expect(checkpoints.isDue(at(10), { nowMs: 0, isTick: true })).toBe(true);
    checkpoints.onWritten(at(10), 5000);
    expect(checkpoints.isDue(at(20), { nowMs: 6999, isTick: true })).toBe(false);
    expect(checkpoints.isDue(at(20), { nowMs: 7000, isTick: true })).toBe(true);
  });

  it('is never due where the last one was, however low the bounds', () => {
    const none = new CheckpointRule({ checkpointAfterMs: 0, minCheckpointCount: 0, maxCheckpointCount: 0 }, at(5));
    expect(none.mayBeDue(at(5))).toBe(false);
    expect(none.isDue(at(5), { nowMs: 0, isTick: true })).toBe(false);
    expect(none.isDue(at(6), { nowMs: 0, isTick: false })).toBe(true);
  });
});
