import { BadUsage } from './cli.errors';

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** @throws BadUsage */
export function durationOf(text: string, option: string): number {
  const [, amount, unit = 'ms'] = /^(\d{1,9})(ms|s|m|h|d)?$/.exec(text) ?? [];
  const unitMs = UNITS_MS[unit];
  if (amount === undefined || unitMs === undefined)
    throw new BadUsage(`${option} wants a duration such as 30s, 5m, 2h or 1d; got "${text}".`);
  return Number(amount) * unitMs;
}

/** @throws BadUsage */
export function timeOf(text: string, option: string): number {
  const atMs = Date.parse(text);
  if (Number.isNaN(atMs)) throw new BadUsage(`${option} wants a time such as 2026-12-24T18:00:00Z; got "${text}".`);
  return atMs;
}
