import { setTimeout as pause } from 'node:timers/promises';
import type { Stack } from '@perdure/cli';
import type { Fault } from './schedule';

/** What was really done; a target that was down or not up yet at its moment is left alone. */
export interface Damage {
  readonly kills: Record<string, number>;
  busWipes: number;
  /** When which worker was killed, by the wall clock. */
  readonly workerDeaths: { readonly worker: string; readonly atMs: number }[];
}

export async function torment(stack: Stack, faults: readonly Fault[], say: (line: string) => void): Promise<Damage> {
  const damage: Damage = { kills: {}, busWipes: 0, workerDeaths: [] };
  const startedAtMs = performance.now();
  const wiping: Promise<void>[] = [];
  for (const fault of faults) {
    await pause(Math.max(0, startedAtMs + fault.atMs - performance.now()));
    const target = fault.do === 'kill' ? fault.target : 'nats';
    if (stack.child(target).info().state !== 'ready') continue;
    if (fault.do === 'wipe-bus') {
      damage.busWipes += 1;
      wiping.push(stack.wipeBus());
      say(`${stamp(fault)} bus killed and wiped`);
      continue;
    }
    const kind = target.replace(/-\d+$/, '');
    damage.kills[kind] = (damage.kills[kind] ?? 0) + 1;
    if (kind === 'worker') damage.workerDeaths.push({ worker: target, atMs: Date.now() });
    const pid = stack.kill(target);
    say(`${stamp(fault)} kill -9 ${target} (${pid})`);
  }
  await Promise.all(wiping);
  await Promise.all(stack.children().map(({ name }) => stack.child(name).replaced(0)));
  return damage;
}

function stamp({ atMs }: Fault): string {
  return `${(atMs / 1_000).toFixed(1).padStart(6)} s`;
}
