import { utf8Bytes } from '@perdure/kernel';
import type { RunAddress, RunStateView } from '@perdure/run-contract';
import { callName, journalLength, tailItems, type OpenCall, type OpenRun } from '@perdure/run-domain';
import type { Moment } from './run-history';

/** Of a list, beyond its first element: an answer fits into a message of the bus. */
const LIST_BYTES = 400_000;
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
    ...inboundView(run),
    journal: journalPage(run, page),
    effects: effects.slice(-EFFECTS_SHOWN),
    effectsLeftOut: Math.max(0, effects.length - EFFECTS_SHOWN),
    ...outcome,
  };
}

function inboundView({ inbound }: OpenRun): Pick<RunStateView, 'inbound' | 'inboundLeftOut'> {
  const shown = beginning(inbound.map(({ revision, call, outcome }) => ({ revision, call, outcome })));
  return { inbound: shown, inboundLeftOut: inbound.length - shown.length };
}

function journalPage(run: OpenRun, { from, limit }: JournalPage): RunStateView['journal'] {
  const length = journalLength(run.journal);
  const start = Math.min(from ?? Math.max(0, length - limit), length);
  return { length, from: start, items: beginning(tailItems(run.journal).slice(start, start + limit)) };
}

/** As much of a list as fits; the first element always does. */
function beginning<T>(list: readonly T[]): T[] {
  let bytes = 0;
  const end = list.findIndex((element, index) => (bytes += utf8Bytes(JSON.stringify(element))) > LIST_BYTES && index > 0);
  return end < 0 ? [...list] : list.slice(0, end);
}

function callView(call: OpenCall): RunStateView['calls'][number] {
  const { kind, sinceMs } = call;
  const attempt = kind === 'tool' || kind === 'model' ? { attempt: call.attempt } : {};
  const execution = kind === 'tool' && call.execution !== undefined ? { execution: call.execution.stage } : {};
  const heartbeat = kind === 'tool' && call.heartbeat !== undefined ? { heartbeat: call.heartbeat } : {};
  return { call: call.call, kind, name: callName(call), ...attempt, ...execution, ...heartbeat, sinceMs };
}
