import type { JournalItem, RunAddress, RunStateView } from '@perdure/run-contract';
import { callName, journalLength, tailItems, type OpenCall, type OpenRun } from '@perdure/run-domain';
import type { Moment } from './run-history';

/** Characters of journal items in one page, beyond the first item: an answer fits into a message of the bus. */
const PAGE_CHARS_MAX = 1_000_000;
/** Effects in one view. */
const EFFECTS_SHOWN = 100;

export interface JournalPage {
  /** The first item that is wanted; without it, the newest page. */
  readonly from?: number;
  readonly limit: number;
}

/** A moment of a run, for people: everything that the next decision would rest on. */
export function stateViewOf(address: RunAddress, moment: Moment, page: JournalPage): RunStateView {
  const { run, ended, revision, effects } = moment;
  const { kind, name, input } = run.request;
  const outcome = ended === undefined ? {} : { outcome: ended.outcome };
  return {
    ...address,
    kind,
    name,
    status: ended !== undefined ? 'ended' : run.status === 'placing' ? 'active' : run.status,
    revision,
    epoch: run.epoch,
    branch: run.branch,
    ...(kind === 'agent' ? { turn: run.turn } : {}),
    input,
    calls: [...run.calls.values()].map(callView),
    timers: [...run.timers.values()].map(({ timerId, purpose, call, dueAtMs }) => ({
      timerId,
      purpose,
      ...(call === undefined ? {} : { call }),
      dueAtMs,
    })),
    signals: [...run.signals],
    inbound: run.inbound.map(({ revision: at, call, outcome: given }) => ({ revision: at, call, outcome: given })),
    journal: journalPage(run, page),
    effects: effects.slice(-EFFECTS_SHOWN),
    effectsLeftOut: Math.max(0, effects.length - EFFECTS_SHOWN),
    ...outcome,
  };
}

function journalPage(run: OpenRun, { from, limit }: JournalPage): RunStateView['journal'] {
  const length = journalLength(run.journal);
  const start = Math.min(from ?? Math.max(0, length - limit), length);
  const items: JournalItem[] = [];
  let chars = 0;
  for (const item of tailItems(run.journal).slice(start, start + limit)) {
    chars += JSON.stringify(item).length;
    if (chars > PAGE_CHARS_MAX && items.length > 0) break;
    items.push(item);
  }
  return { length, from: start, items };
}

function callView(call: OpenCall): RunStateView['calls'][number] {
  const { kind, sinceMs } = call;
  const attempt = kind === 'tool' || kind === 'model' ? { attempt: call.attempt } : {};
  const execution = kind === 'tool' && call.execution !== undefined ? { execution: call.execution.stage } : {};
  return { call: call.call, kind, name: callName(call), ...attempt, ...execution, sinceMs };
}
