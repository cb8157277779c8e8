import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * A book of what was really executed, kept outside the engine: one line when a tool begins, one when it
 * has ended. Whoever wants to know whether anything ran twice reads it, and trusts nobody's word.
 */
export interface LedgerLine {
  readonly key: string;
  readonly tool: string;
  readonly what: 'began' | 'ended';
  readonly pid: number;
  readonly atMs: number;
}

/** Where the book is; none is kept without it. */
const LEDGER = 'PERDURE_AUDIT_LEDGER';
/** Makes each tool take at least so long, so that a person can watch, and a kill lands in the middle. */
const PACE = 'PERDURE_AUDIT_PACE_MS';

export async function recorded<T>(key: string, tool: string, work: () => Promise<T>): Promise<T> {
  write({ key, tool, what: 'began' });
  const [result] = await Promise.all([work(), sleep(paceMs(key))]);
  write({ key, tool, what: 'ended' });
  return result;
}

function write(line: Pick<LedgerLine, 'key' | 'tool' | 'what'>): void {
  const path = process.env[LEDGER];
  if (path !== undefined) appendFileSync(path, `${JSON.stringify({ ...line, pid: process.pid, atMs: Date.now() })}\n`);
}

/** Calls that were made together end one after the other, like those of a slow disk. */
function paceMs(key: string): number {
  const pace = Number(process.env[PACE] ?? 0);
  const index = Number(/\.(\d+)$/.exec(key)?.[1] ?? 0);
  return pace * (1 + index);
}
