import { readFileSync } from 'node:fs';

/** Clock ticks a second in /proc: fixed at 100 in the interface of Linux to programs. */
const TICKS_PER_SECOND = 100;

export interface ProcessUsage {
  readonly cpuSeconds: number;
  readonly rssMb: number;
  /** Proportional: shared pages are divided among those who share them. Falls back to rss. */
  readonly pssMb: number;
  /** What no file stands behind: its heap, mostly. */
  readonly anonMb: number;
}

/** Identifies one incarnation of a pid: a pid is reused, the pair is not. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTicks: number;
}

function statFields(pid: number): readonly string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command name stands in brackets and may hold spaces.
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

export function identityOf(pid: number): ProcessIdentity {
  return { pid, startTicks: Number(statFields(pid)?.[19] ?? 0) };
}

/** A zombie counts as dead: it holds no port, no lock and no memory. */
export function isAlive({ pid, startTicks }: ProcessIdentity): boolean {
  const fields = statFields(pid);
  if (fields) return fields[0] !== 'Z' && (startTicks === 0 || Number(fields[19]) === startTicks);
  if (process.platform === 'linux') return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

export function usageOf(pid: number): ProcessUsage | undefined {
  const fields = statFields(pid);
  if (!fields) return undefined;
  const cpuSeconds = (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  const rssMb = kilobytes(`/proc/${pid}/status`, 'VmRSS') / 1024;
  const pss = kilobytes(`/proc/${pid}/smaps_rollup`, 'Pss') / 1024;
  const anonMb = kilobytes(`/proc/${pid}/status`, 'RssAnon') / 1024;
  return { cpuSeconds, rssMb, pssMb: pss || rssMb, anonMb };
}

function kilobytes(path: string, field: string): number {
  try {
    const match = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(path, 'utf8'));
    return Number(match?.[1] ?? 0);
  } catch {
    return 0;
  }
}
