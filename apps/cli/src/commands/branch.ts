import { randomUUID } from 'node:crypto';
import { EXIT } from '../cli.errors';
import type { EffectRecord, RunState } from '../control-replies';
import { clip, columns, pc, say, status } from '../paint';
import { clientOf, jsonOf, wholeNumber, type CommonOptions } from './run';

const numberOf = (given: string | undefined, option: string): number | undefined =>
  given === undefined ? undefined : wholeNumber(given, option);

/** Leaves out what is not said. */
function said<T extends object>(values: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
}

export async function showState(
  runId: string,
  options: CommonOptions & { readonly at?: string; readonly from?: string; readonly limit?: string },
): Promise<number> {
  const state = await clientOf(options).state(
    runId,
    said({
      at: numberOf(options.at, '--at'),
      journalFrom: numberOf(options.from, '--from'),
      journalLimit: numberOf(options.limit, '--limit'),
    }),
  );
  if (options.json) say(JSON.stringify(state, undefined, 2));
  else tellState(state);
  return EXIT.ok;
}

function tellState(state: RunState): void {
  const width = columns() - 16;
  const row = (label: string, value: string): void => say(`  ${pc.dim(label.padEnd(11))} ${clip(value, width)}`);
  const { revision, branch, turn, journal } = state;
  say(`${status(state.outcome?.status ?? state.status)}  ${pc.bold(state.name)} ${pc.dim(`${state.kind} ${state.runId}`)}`);
  row('revision', `${revision}${branch === 0 ? '' : `, branch ${branch}`}${turn === undefined ? '' : `, turn ${turn}`}`);
  row('input', JSON.stringify(state.input));
  for (const { call, kind, name, attempt } of state.calls)
    row('open', `${kind} ${name} ${call}${attempt === undefined ? '' : `, attempt ${attempt}`}`);
  for (const { timerId, purpose, dueAtMs } of state.timers)
    row('timer', `${timerId} (${purpose}), due ${new Date(dueAtMs).toISOString()}`);
  for (const { name, payload } of state.signals) row('unread', `${name} ${JSON.stringify(payload)}`);
  if (state.effectsLeftOut > 0) row('effects', `${state.effectsLeftOut} older ones`);
  for (const effect of state.effects) row('effect', effectLine(effect));
  row('journal', `${journal.length} items, from ${journal.from}`);
  journal.items.forEach(({ type, ...rest }, index) =>
    row(`  ${journal.from + index}`, `${String(type)} ${JSON.stringify(rest)}`),
  );
}

function effectLine({ tool, call, effectClass, status: stands, branch, isUndoable }: EffectRecord): string {
  const undone = isUndoable ? 'can be undone' : effectClass === 'pure' || stands === 'failed' ? '' : 'cannot be undone';
  return [`${stands} ${tool} ${call}${branch === 0 ? '' : ` of branch ${branch}`}`, effectClass, undone]
    .filter(Boolean)
    .join(', ');
}

export async function forkRun(
  runId: string,
  options: CommonOptions & {
    readonly at?: string;
    readonly input?: string;
    readonly build?: string;
    readonly model?: string;
    readonly key?: string;
  },
): Promise<number> {
  const input = options.input === undefined ? {} : { input: jsonOf(options.input, '--input') };
  const how = said({ at: numberOf(options.at, '--at'), buildId: options.build, model: options.model });
  // With a key, if need be one of our own, a fork whose answer was lost is repeated and not doubled.
  const forked = await clientOf(options).fork(runId, { ...how, ...input, idempotencyKey: options.key ?? randomUUID() });
  const { revision } = forked.source;
  if (options.json) say(JSON.stringify(forked));
  else {
    const from = revision === undefined ? 'as before' : `at revision ${revision}`;
    say(`${pc.magenta('⑂')} forked ${runId} ${from}: ${pc.bold(forked.runId)}`);
    say(pc.dim(`  ./perdure run watch ${forked.runId}`));
  }
  return EXIT.ok;
}

export async function rewindRun(
  runId: string,
  options: CommonOptions & {
    readonly to?: string;
    readonly turn?: string;
    readonly dryRun?: boolean;
    readonly reason?: string;
  },
): Promise<number> {
  const where = said({ to: numberOf(options.to, '--to'), turn: numberOf(options.turn, '--turn'), reason: options.reason });
  const rewound = await clientOf(options).rewind(runId, { ...where, dryRun: options.dryRun === true });
  if (options.json) {
    say(JSON.stringify(rewound));
    return EXIT.ok;
  }
  const did = rewound.dryRun ? 'would be rewound' : 'rewound';
  say(`${pc.magenta('↶')} ${pc.bold(runId)} ${did} to revision ${rewound.to}, branch ${rewound.branch}`);
  if (rewound.effects.length === 0) say(pc.dim('  Nothing was done outside since.'));
  else say('  Done outside since then, and not taken back:');
  for (const effect of rewound.effects) say(`    ${effectLine(effect)}`);
  return EXIT.ok;
}
