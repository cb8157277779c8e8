import { existsSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { Stack } from '@perdure/cli';
import type { Damage } from '../torment';
import type { Bank } from './bank';

/** Where a process ends itself, or is ended, while a payment is on its way: each moment between two of its facts. */
export const CRASH_POINTS = [
  'worker.before-report',
  'worker.after-report',
  'owner.before-append/EffectDispatched',
  'owner.after-append/EffectDispatched',
  'owner.before-answer/EffectDispatched',
  'tool.before-call',
  'bank.committed',
  'tool.before-report',
  'owner.before-append/EffectConfirmed',
  'owner.after-append/EffectConfirmed',
  'owner.before-answer/EffectConfirmed',
] as const;

/** The destination is no process of ours: it has done what it was asked, and whoever asked is killed before it hears so. */
const AT_THE_BANK = 'bank.committed';
/** A payment passes every point within a second or two; what is restarted first takes a little longer. */
const REACHED_WITHIN_MS = 30_000;
const LOOK_EVERY_MS = 20;

export interface Walk {
  readonly stack: Stack;
  readonly bank: Bank;
  /** Names the point at which the next process that passes it ends. */
  readonly file: string;
  readonly say: (line: string) => void;
}

/** Ends a process at each point, one after another, under payments that go on. @returns the damage, and the points that nobody passed */
export async function walkCrashPoints(walk: Walk): Promise<Damage & { readonly unreached: readonly string[] }> {
  const { stack, say } = walk;
  const damage: Damage = { kills: {}, busWipes: 0, workerDeaths: [] };
  const unreached: string[] = [];
  for (const point of CRASH_POINTS) {
    const isReached = point === AT_THE_BANK ? await killPayer(walk) : await arm(walk, point);
    say(`${point}: ${isReached ? 'a process ended there' : 'NOBODY PASSED IT'}`);
    if (isReached) damage.kills[point] = 1;
    else unreached.push(point);
    await Promise.all(stack.children().map(({ name }) => stack.child(name).replaced(0)));
  }
  return { ...damage, unreached };
}

/** Whoever passes the point takes the file away and dies. */
async function arm({ file }: Walk, point: string): Promise<boolean> {
  writeFileSync(file, point);
  return until(() => !existsSync(file));
}

async function killPayer({ stack, bank }: Walk): Promise<boolean> {
  let isDone = false;
  bank.afterNextTransfer((payer) => {
    isDone = stack.kill(payer) !== 0;
  });
  return until(() => isDone);
}

async function until(isTrue: () => boolean): Promise<boolean> {
  const untilMs = performance.now() + REACHED_WITHIN_MS;
  while (!isTrue() && performance.now() < untilMs) await pause(LOOK_EVERY_MS);
  return isTrue();
}
