import { accept, type Decision } from '@perdure/kernel';
import type { RunEvent, RunEventOf, RunRejection } from '@perdure/run-contract';
import { SIGNALS_UNREAD_MAX } from '../bounds';
import { carriedFrom, reopened, type Past } from './carry';
import { recallCommand } from '../command-memory';
import { alreadyExists, paused } from '../lifecycle/decide-lifecycle';
import { commandExpired, notYet, refusal } from '../rejection';
import type { DecidedCommand, Identities, RequestFork, RewindRun } from '../run.commands';
import { evolve } from '../run.evolve';
import { mayHaveHappened, nameInRun, woken, type OpenRun, type OpenTool, type RunState } from '../run.state';

type RunDecision = Decision<RunEvent, RunRejection>;
type Hashing<C> = DecidedCommand & Identities & { readonly command: C };

/** Whoever rewinds a run that goes on meanwhile looks at it again. */
const MOVED_ON_RETRY_MS = 50;

export function decideFork({ command, at, ...identities }: Hashing<RequestFork>, state: RunState): RunDecision {
  const { kind, name, pool, input, requestHash, source, past, approvals, requestedBy, buildId, model } = command;
  if (state.status !== 'none') return state.request.requestHash === requestHash ? accept() : alreadyExists();
  if (past.ending !== undefined) return alreadyEnding();
  const who = {
    ...(requestedBy === undefined ? {} : { requestedBy }),
    ...(Object.keys(past.limits).length === 0 ? {} : { limits: past.limits }),
  };
  const carried = { run: past, outcomes: new Map(), sentSince: [], approvals };
  const begun: readonly RunEvent[] = [
    { type: 'RunRequested', data: { kind, name, pool, input, requestHash, ...who, requestedAtMs: at.nowMs } },
    { type: 'RunForked', data: { source, ...(model === undefined ? {} : { model }), carried: carriedFrom(carried) } },
    ...(buildId === undefined ? [] : [pinnedTo(buildId, at.commandId)]),
  ];
  const after = begun.reduce<RunState>(evolve, state);
  return accept(...begun, ...reopened(carried, after, { nowMs: at.nowMs, asFork: true, ...inBranch(identities, 0) }));
}

function pinnedTo(buildId: string, commandId: string): RunEvent {
  return { type: 'RunRepinned', data: { buildId, reason: 'forked for this build', commandId } };
}

/** The run is held for a moment, so that no activation of before writes into what it becomes; then it asks for a worker. */
export function decideRewind({ command, at, ...identities }: Hashing<RewindRun>, run: OpenRun): RunDecision {
  const memory = recallCommand(run, at.commandId);
  if (memory === 'repeated') return accept();
  if (memory === 'expired') return commandExpired();
  const { to, asOf, past, outcomes, approvals, reason } = command;
  if (run.ending !== undefined || past.ending !== undefined) return alreadyEnding();
  if (run.cancel !== undefined) return refusal('CancelUnderWay', 'The run is being cancelled. Fork it when it has ended.');
  if (run.revision !== asOf)
    return notYet('RunMovedOn', 'The run went on while it was looked at. Try again, or pause it first.', MOVED_ON_RETRY_MS);
  const unsettled = unsettledIn(run, past, outcomes);
  if (unsettled.length > 0) return effectsUnsettled(unsettled);
  // What has been read since is unread again, and what was sent since is not lost.
  const kept: Past = { run: past, outcomes, sentSince: command.sentSince.slice(-SIGNALS_UNREAD_MAX), approvals };
  const { commandId } = at;
  const why = `rewound to revision ${to}: ${reason}`;
  const events: RunEvent[] = [
    ...held(run, why),
    ...cancelledTimers(run),
    { type: 'RunRewound', data: { to, branch: run.branch + 1, carried: carriedFrom(kept), reason, commandId } },
  ];
  const after = events.reduce<RunState>(evolve, run);
  events.push(...reopened(kept, after, { nowMs: at.nowMs, asFork: false, ...inBranch(identities, run.branch + 1) }));
  // What somebody holds stays held.
  if (run.status !== 'paused' && run.pause === undefined) events.push({ type: 'RunResumed', data: { reason: why, commandId } });
  return accept(...events);
}

/** The worker has let go of it: it asks for another one, which knows nothing of what was before. */
export function decideContinue(input: unknown, run: OpenRun): RunDecision {
  const unsettled = [...run.calls.values()].filter((call): call is OpenTool => call.kind === 'tool' && mayHaveHappened(call));
  if (unsettled.length > 0) return effectsUnsettled(unsettled, 'Await their end before the run is continued.');
  const events: RunEvent[] = [
    { type: 'RunSuspended', data: { epoch: run.epoch } },
    ...cancelledTimers(run),
    { type: 'RunContinued', data: { branch: run.branch + 1, input } },
  ];
  return accept(...events, run.pause === undefined ? woken(run) : paused(run.pause.reason));
}

function held(run: OpenRun, why: string): readonly RunEvent[] {
  if (run.status === 'paused') return [];
  if (run.status !== 'active') return [paused(why)];
  return [{ type: 'ActivationLost', data: { epoch: run.epoch, reason: 'rewound' } }, paused(why)];
}

function cancelledTimers(run: OpenRun): readonly RunEvent[] {
  return [...run.timers.values()].flatMap(({ timerId, purpose }): readonly RunEvent[] =>
    purpose === 'deadline' ? [] : [{ type: 'TimerCancelled', data: { timerId } }],
  );
}

function alreadyEnding(): RunDecision {
  const message = 'The run is ending at that revision, and nothing of it begins any more. Fork it at an earlier one.';
  return refusal('CancelUnderWay', message);
}

/** Nothing may be taken back of which it is not known whether it happened. */
function unsettledIn(run: OpenRun, past: OpenRun, outcomes: RewindRun['outcomes']): readonly OpenTool[] {
  const isOpenSince = (open: OpenTool): boolean => past.calls.has(open.call) && !outcomes.has(open.call) && mayHaveHappened(open);
  return [...run.calls.values()].filter(
    (call): call is OpenTool => call.kind === 'tool' && (call.execution !== undefined || isOpenSince(call)),
  );
}

function effectsUnsettled(effects: readonly OpenTool[], hint = ANSWER_FIRST): RunDecision {
  const named = effects.map(({ call, tool }) => `${tool} ${call}`).join(', ');
  const message = `It is not known yet whether these happened: ${named}. ${hint}`;
  return refusal('EffectsUnsettled', message, { details: { calls: effects.map(({ call }) => call) } });
}

const ANSWER_FIRST = 'Wait for their end or answer for them (perdure effects list), then rewind.';

/** Last of all decisions: gives the timers that they set the names of their branch. */
export function inBranches(state: RunState, events: readonly RunEvent[]): readonly RunEvent[] {
  let branch = 'branch' in state ? state.branch : 0;
  if (branch === 0 && !events.some(beginsBranch)) return events;
  const renamed = new Map<string, string>();
  return events.map((event): RunEvent => {
    if (beginsBranch(event)) branch = event.data.branch;
    if (event.type === 'TimerCancelled') {
      // Of a timer that was open before, the full name is known already.
      const timerId = renamed.get(event.data.timerId) ?? event.data.timerId;
      return { ...event, data: { timerId } };
    }
    if (event.type !== 'TimerSet' || event.data.purpose === 'deadline') return event;
    const timerId = nameInRun(branch, event.data.timerId);
    renamed.set(event.data.timerId, timerId);
    return { ...event, data: { ...event.data, timerId } };
  });
}

function beginsBranch(event: RunEvent): event is RunEventOf<'RunRewound' | 'RunContinued'> {
  return event.type === 'RunRewound' || event.type === 'RunContinued';
}

function inBranch({ hash, childRun, messageId }: Identities, branch: number) {
  return {
    hash,
    childRun: (call: string): string => childRun(branch, call),
    messageId: (call: string, nowMs: number): string => messageId(branch, call, nowMs),
  };
}
