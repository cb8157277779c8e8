import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EventStoreProcess, spawnEventStoreServer } from '@perdure/event-store-server';
import { percentile, rounded } from '../rig/figures';

const CLOCK_TICKS_PER_SECOND = 100;
const MICROS = 1e6;

/** A server in a process of its own, on a fresh folder of the temporary disk, which goes with it. */
export async function withServer<Result>(task: (server: EventStoreProcess, dataDir: string) => Promise<Result>): Promise<Result> {
  const dataDir = mkdtempSync(join(tmpdir(), 'perdure-bench-'));
  try {
    const server = await spawnEventStoreServer({ dataDir });
    try {
      return await task(server, dataDir);
    } finally {
      await server.stop();
    }
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

export interface Spent {
  readonly seconds: number;
  readonly serverCpuMicros: number;
  /** Of this process, which is the client. */
  readonly clientCpuMicros: number;
}

/** @returns the function that says what was spent since, by the server and by this process */
export function spending(processId: number): () => Spent {
  const serverBefore = cpuSecondsOf(processId);
  const clientBefore = process.cpuUsage();
  const startedAtMs = performance.now();
  return () => {
    const { user, system } = process.cpuUsage(clientBefore);
    return {
      seconds: (performance.now() - startedAtMs) / 1000,
      serverCpuMicros: (cpuSecondsOf(processId) - serverBefore) * MICROS,
      clientCpuMicros: user + system,
    };
  };
}

/** User and system time of another process, from Linux's own account of it. */
function cpuSecondsOf(processId: number): number {
  const text = readFileSync(`/proc/${processId}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_SECOND;
}

/** Resident memory in KiB; of the proportional kind, pages shared with others count by their share. */
export function memoryOf(processId: number): { readonly rssKb: number; readonly pssKb: number } {
  const text = readFileSync(`/proc/${processId}/smaps_rollup`, 'utf8');
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0);
  return { rssKb: field('Rss'), pssKb: field('Pss') };
}

export function latency(millis: readonly number[]): { readonly p50Ms: number; readonly p99Ms: number } {
  return { p50Ms: rounded(percentile(millis, 0.5)), p99Ms: rounded(percentile(millis, 0.99)) };
}

export type Row = Readonly<Record<string, string | number>>;

/** The median of each figure over some rounds: one of them may have met a busy machine. */
export async function medians<Figures extends Row>(rounds: number, round: (at: number) => Promise<Figures>): Promise<Figures> {
  const found: Figures[] = [];
  for (let at = 0; at < rounds; at += 1) found.push(await round(at));
  const first = found[0] as Figures;
  const middle = (name: string): string | number => {
    const values = found.map((figures) => figures[name]);
    return typeof values[0] === 'number' ? percentile(values as number[], 0.5) : (first[name] as string);
  };
  return Object.fromEntries(Object.keys(first).map((name) => [name, middle(name)])) as Figures;
}

let ids = 0;

/** Ids that differ within this process. */
export function nextEventId(): string {
  ids += 1;
  return `00000000-0000-4000-8000-${ids.toString(16).padStart(12, '0')}`;
}
