import type { OverlapPolicy, ScheduleSpecInput } from '@perdure/schedule-contract';
import { BadUsage } from './cli.errors';
import { limitsOf } from './commands/run-limits';
import { jsonOf, wholeNumber } from './commands/run';
import { durationOf, timeOf } from './durations';

/** What a schedule is, as options say it. */
export interface SpecOptions {
  readonly spec?: string;
  readonly start?: string;
  readonly input?: string;
  readonly kind?: string;
  readonly pool?: string;
  readonly deadline?: string;
  readonly limits?: string;
  readonly cron?: readonly string[];
  readonly every?: readonly string[];
  readonly at?: readonly string[];
  readonly timeZone?: string;
  readonly except?: readonly string[];
  readonly exceptCron?: readonly string[];
  readonly from?: string;
  readonly until?: string;
  readonly jitter?: string;
  readonly overlap?: string;
  readonly catchUp?: string;
  readonly max?: string;
  readonly pauseAfterFailures?: string;
}

type Input = ScheduleSpecInput;

/** What the options say goes before what was there; rules of when replace all that were there. @throws BadUsage */
export function specOf(options: SpecOptions, before: Partial<Input> = {}): Input {
  const base = options.spec === undefined ? before : (jsonOf(options.spec, '--spec') as Partial<Input>);
  const when = whenOf(options);
  const except = exceptOf(options);
  const spec = {
    ...base,
    ...timesOf(options),
    ...policiesOf(options),
    ...(when.length === 0 ? {} : { when }),
    ...(except.length === 0 ? {} : { except }),
    start: startOf(options, base.start),
  };
  if (spec.when === undefined || spec.when.length === 0)
    throw new BadUsage(
      'Say when: --cron "0 9 * * 1-5", --every 30s or --at 2026-12-24T18:00:00Z; each may be given several times.',
    );
  return { ...spec, when: spec.when };
}

function startOf(options: SpecOptions, before: Input['start'] | undefined): Input['start'] {
  const { start, input, kind, pool, deadline, limits } = options;
  const name = start ?? before?.name;
  if (name === undefined) throw new BadUsage('Say what it starts: --start NAME, of an agent or workflow.');
  // Of another behaviour the kind and the pool of the one before say nothing.
  const kept = before?.name === name ? before : { input: before?.input ?? {} };
  return {
    ...kept,
    name,
    ...(input === undefined ? {} : { input: jsonOf(input, '--input') }),
    ...(kind === undefined ? {} : { kind: kind as NonNullable<Input['start']['kind']> }),
    ...(pool === undefined ? {} : { pool }),
    ...(deadline === undefined ? {} : { deadlineMs: durationOf(deadline, '--deadline') }),
    ...(limits === undefined ? {} : { limits: limitsOf(limits) }),
  };
}

function whenOf({ cron = [], every = [], at = [] }: SpecOptions): Input['when'] {
  return [
    ...cron.map((expression) => ({ type: 'cron' as const, expression })),
    ...every.map((text) => {
      const [interval = '', offset] = text.split('+');
      const everyMs = durationOf(interval, '--every');
      return { type: 'interval' as const, everyMs, ...(offset === undefined ? {} : { offsetMs: durationOf(offset, '--every') }) };
    }),
    ...at.map((text) => ({ type: 'at' as const, atMs: timeOf(text, '--at') })),
  ];
}

function exceptOf({ except = [], exceptCron = [] }: SpecOptions): NonNullable<Input['except']> {
  return [
    ...except.map((date) => ({ type: 'date' as const, date })),
    ...exceptCron.map((expression) => ({ type: 'cron' as const, expression })),
  ];
}

function timesOf({ timeZone, from, until, jitter }: SpecOptions): Partial<Input> {
  return {
    ...(timeZone === undefined ? {} : { timeZone }),
    ...(from === undefined ? {} : { startAtMs: timeOf(from, '--from') }),
    ...(until === undefined ? {} : { endAtMs: timeOf(until, '--until') }),
    ...(jitter === undefined ? {} : { jitterMs: durationOf(jitter, '--jitter') }),
  };
}

function policiesOf({ overlap, catchUp, max, pauseAfterFailures }: SpecOptions): Partial<Input> {
  return {
    ...(overlap === undefined ? {} : { overlap: overlap as OverlapPolicy }),
    ...(catchUp === undefined ? {} : { catchUpMs: durationOf(catchUp, '--catch-up') }),
    ...(max === undefined ? {} : { firingsMax: wholeNumber(max, '--max') }),
    ...(pauseAfterFailures === undefined
      ? {}
      : { pauseAfterFailures: wholeNumber(pauseAfterFailures, '--pause-after-failures') }),
  };
}
