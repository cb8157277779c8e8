import * as fc from 'fast-check';
import { mustBeClaimed } from '@perdure/kernel';
import type { Instruction, ProgressEntry, RunEvent, RunKind } from '@perdure/run-contract';
import { momentAt } from '@perdure/run-application';
import {
  instructionsOf,
  isOpen,
  isWaiting,
  nothingSpent,
  runDecider,
  type DomainCommand,
  type KnownCode,
  type OpenCall,
  type OpenChild,
  type OpenRun,
  type RunState,
} from '@perdure/run-domain';
import {
  agentManifest,
  commandIdAt,
  decision,
  knownCode,
  specIdentities,
  START_MS,
  toolManifest,
  workflowManifest,
} from '../fixtures/run-facts';

/**
 * Histories of runs as chance would have them: each move looks at the state and makes a command that is likely to be
 * accepted, and now and then one that is not.
 */
export interface Move {
  readonly kind: number;
  readonly pick: number;
  readonly advanceMs: number;
}

export interface RandomRun {
  readonly events: readonly RunEvent[];
  /** After each event. */
  readonly states: readonly RunState[];
  /** Rejected commands, by code. */
  readonly rejected: readonly string[];
}

/** Longer than any execution may be under way. */
const LONG_MS = 8_000;

export const moves: fc.Arbitrary<readonly Move[]> = fc.array(
  fc.record({
    kind: fc.nat(99),
    pick: fc.nat(1_000),
    advanceMs: fc.oneof({ weight: 6, arbitrary: fc.nat(400) }, { weight: 1, arbitrary: fc.constant(LONG_MS) }),
  }),
  { minLength: 1, maxLength: 60, size: 'max' },
);

const decider = runDecider(specIdentities);
const RETRY = { attemptsMax: 3, initialDelayMs: 100, factor: 2, delayMaxMs: 1_000 };
/** Short limits, so that executions are over while the history lasts. */
const TOOLS = [
  toolManifest('pay'),
  toolManifest('lookup'),
  toolManifest('post', { onExhausted: 'dead-letter', timeouts: { totalMs: 900, scheduleToStartMs: 500 } }),
  toolManifest('mail', { effectClass: 'irreversible', timeoutMs: 1, timeouts: { scheduleToStartMs: 60 }, onExhausted: 'fail' }),
  toolManifest('send', { effectClass: 'probeable', hasProbe: true, timeoutMs: 1 }),
  toolManifest('book', { compensation: { effectClass: 'idempotent', timeoutMs: 1, retry: RETRY } }),
  toolManifest('rent', {
    effectClass: 'probeable',
    hasProbe: true,
    timeoutMs: 1,
    compensation: { effectClass: 'irreversible', timeoutMs: 1, retry: RETRY },
  }),
  toolManifest('wire', { effectClass: 'irreversible', timeoutMs: 1 }),
];
const CALLED = ['pay', 'lookup', 'send', 'wire', 'guess', 'send', 'post', 'mail', 'send', 'book', 'rent'];
const CLOSES = ['cancel', 'request', 'abandon'] as const;
const SIGNALS = ['go', 'stop'];

export function playRun(kind: RunKind, given: readonly Move[]): RandomRun {
  const agent = { limits: { turnsMax: 6 }, modelRetry: RETRY, tools: TOOLS.map(({ name }) => name) };
  const code = knownCode(kind === 'agent' ? agentManifest(agent) : workflowManifest(), TOOLS);
  const events: RunEvent[] = [];
  const states: RunState[] = [];
  const rejected: string[] = [];
  let state: RunState = decider.initial;
  let nowMs = START_MS;
  given.forEach((move, index) => {
    nowMs += move.advanceMs;
    const command = commandFor(state, { move, kind, nowMs, index, events });
    const at = { nowMs, commandId: commandIdAt(nowMs, index), fraction: (move.pick % 100) / 100 };
    const decided = decider.decide({ command, at, code: code satisfies KnownCode }, state);
    if ('rejected' in decided) rejected.push(decided.rejected.code);
    else {
      for (const event of decided.accepted) {
        state = decider.evolve(state, event);
        events.push(event);
        states.push(state);
      }
    }
  });
  return { events, states, rejected };
}

interface Turn {
  readonly move: Move;
  readonly kind: RunKind;
  readonly nowMs: number;
  readonly index: number;
  /** All that has happened. */
  readonly events: readonly RunEvent[];
}

function commandFor(state: RunState, turn: Turn): DomainCommand {
  const { kind: what, pick } = turn.move;
  if (state.status === 'none') return request(turn.kind, pick);
  const { epoch } = state;
  if (what < 3) return { type: 'CancelRun', reason: 'chance' };
  if (what < 9) return { type: 'LoseActivation', epoch, reason: pick % 4 === 0 ? 'not-claimed' : 'worker-lost' };
  if (what < 10) return request(turn.kind, pick);
  if (what < 12)
    return pick % 2 === 0
      ? { type: 'RepinRun', buildId: `build-${pick % 3}`, reason: 'chance' }
      : { type: 'EnforceCancel', epoch };
  if (what < 13) return pick % 9 === 0 ? { type: 'TerminateRun', reason: 'chance' } : { type: 'PauseRun', reason: 'chance' };
  if (what < 14) return { type: 'EnforcePause', epoch };
  if (what === 17 && isOpen(state)) return rewind(turn);
  if (what === 19 || what === 23) return { type: 'SignalRun', name: chosen(SIGNALS, pick), payload: pick };
  const hasDue =
    isOpen(state) && [...state.timers.values()].some(({ dueAtMs, purpose }) => purpose === 'probe' && dueAtMs <= turn.nowMs);
  if (what < (hasDue ? 60 : 24) && isOpen(state) && state.timers.size > 0)
    return { type: 'FireTimer', timerId: dueTimer(state, turn) };
  const child = what < 34 && isOpen(state) ? [...state.calls.values()].find((call) => call.kind === 'child') : undefined;
  if (child?.kind === 'child') return childNews(child, pick);
  const message = what < 36 && isOpen(state) ? [...state.calls.values()].find((call) => call.kind === 'message') : undefined;
  if (message?.kind === 'message') {
    const { call, messageId } = message;
    return { type: 'NoteMessage', call, messageId, ...(pick % 2 === 0 ? {} : { error: BROKEN }) };
  }
  const question = what < 38 && isOpen(state) ? [...state.calls.values()].find(isQuestion) : undefined;
  if (question !== undefined) return answerOrDelegate(question, pick);
  const asked = what < 40 && isOpen(state) ? [...state.calls.values()].find(isInQuestion) : undefined;
  if (asked !== undefined) return resolve(asked.call, turn);
  const dead = what < 50 && isOpen(state) ? [...state.calls.values()].find(isDeadLetter) : undefined;
  if (dead !== undefined) return decideDeadLetter(dead.call, turn);
  if (state.status === 'ended') return report(epoch, state.lastSeq + (pick % 3), [{ type: 'suspended' }]);
  switch (state.status) {
    case 'queued':
      return release(state, turn);
    case 'placing':
      return { type: 'PlaceRun', workerId: `w${pick % 3}`, sessionId: `s${pick}`, buildId: 'build-1' };
    case 'paused':
      return { type: 'ResumeRun', reason: 'chance' };
    case 'suspended':
      return { type: 'FireTimer', timerId: dueTimer(state, turn) };
    case 'active':
      return reportFor(state, turn);
  }
}

/** Mostly one that is due, if there is one. */
function dueTimer({ timers }: OpenRun, { move: { pick }, nowMs }: Turn): string {
  const due = [...timers.values()].filter(({ dueAtMs }) => dueAtMs <= nowMs).map(({ timerId }) => timerId);
  return due.length > 0 && pick % 5 > 0 ? chosen(due, pick) : chosen([...timers.keys(), 'none'], pick);
}

function isQuestion(call: OpenCall): boolean {
  return call.kind === 'wait' && call.task !== undefined;
}

function answerOrDelegate(open: OpenCall, pick: number): DomainCommand {
  const said = { call: open.call, by: chosen(['mia', 'leo'], pick), roles: pick % 2 === 0 ? [] : ['head'] };
  if (pick % 3 === 0) return { type: 'DelegateTask', ...said, to: 'user:leo' };
  const asked = open.kind === 'wait' ? open.task?.asked : undefined;
  return { type: 'AnswerTask', ...said, answer: pick, checked: { asked, issues: pick % 7 === 0 ? ['/n is wrong'] : [] } };
}

function isInQuestion(call: OpenCall): boolean {
  return call.kind === 'tool' && call.execution?.stage === 'in-question';
}

function isDeadLetter(call: OpenCall): boolean {
  return call.kind === 'tool' && call.deadLetter !== undefined;
}

function decideDeadLetter(call: string, { move: { pick } }: Turn): DomainCommand {
  const type = pick % 3 === 0 ? 'GiveUpEffect' : 'RedriveEffect';
  return { type, call, by: { kind: 'user', id: 'ada' } };
}

function resolve(call: string, { move: { pick } }: Turn): DomainCommand {
  const resolution = chosen(['happened', 'absent', 'failed'] as const, pick);
  return { type: 'ResolveEffect', call, resolution, by: { kind: 'user', id: 'ada' } };
}

function rewind({ events, move: { pick } }: Turn): DomainCommand {
  const { revision: to, run: past, outcomesSince, signalsSince, approvals, head: asOf } = momentAt(events, pick % events.length);
  const since = { outcomes: outcomesSince, sentSince: signalsSince, approvals };
  return { type: 'RewindRun', to, past, asOf, ...since, reason: 'chance' };
}

function request(kind: RunKind, pick: number): DomainCommand {
  const deadlineMs = pick % 3 === 0 ? 300 + pick : undefined;
  return { type: 'RequestRun', kind, name: 'any', pool: 'default', input: null, requestHash: 'h', deadlineMs };
}

function release(state: OpenRun, { move, nowMs }: Turn): DomainCommand {
  const term = state.term + (move.pick % 7 === 0 ? -1 : move.pick % 2);
  const notAfterMs = move.pick % 11 === 0 ? nowMs - 1 : nowMs + 100;
  return {
    type: 'ReleaseRun',
    permitId: `p${move.pick}`,
    term: Math.max(0, term),
    workerId: `w${move.pick % 3}`,
    sessionId: 's',
    buildId: 'build-1',
    notAfterMs,
  };
}

function report(epoch: number, seq: number, entries: readonly ProgressEntry[]): DomainCommand {
  return { type: 'RecordProgress', epoch, seq, entries: [...entries] };
}

function reportFor(state: OpenRun, turn: Turn): DomainCommand {
  const { kind: what, pick } = turn.move;
  // Repeats, gaps and zombies are part of life.
  const seq = what < 27 ? state.lastSeq : what < 29 ? state.lastSeq + 2 : state.lastSeq + 1;
  const epoch = what === 30 ? Math.max(1, state.epoch - 1) : state.epoch;
  const entries =
    turn.kind === 'agent'
      ? agentEntries(state, turn)
      : [...workflowEntries(state, turn, 0), ...(pick % 3 === 0 ? workflowEntries(state, turn, 1) : [])];
  return report(epoch, Math.max(1, seq), entries);
}

function outcomeOf(pick: number) {
  if (pick % 4 === 0) return { ok: false as const, error: { code: 'Busy', message: 'later', reaction: 'retryable' as const } };
  if (pick % 9 === 0) return { ok: false as const, error: { code: 'Broken', message: 'never', reaction: 'terminal' as const } };
  return { ok: true as const, value: pick };
}

function agentEntries(state: OpenRun, { move: { kind: what, pick } }: Turn): ProgressEntry[] {
  if (what > 96) return [{ type: 'handed-over' }];
  if (what > 93) return [{ type: 'suspended' }];
  const underWay = [...state.calls.values()].find((call) => call.kind === 'tool' && call.execution?.stage === 'under-way');
  const said = pick % 2 === 0 ? toolEntry(underWay, pick) : undefined;
  if (said !== undefined) return [said];
  const instructions = instructionsOf(state);
  const instruction = instructions[pick % Math.max(1, instructions.length)];
  if (instruction === undefined) return [state.cancel === undefined ? { type: 'suspended' } : { type: 'cancelled' }];
  const { call, attempt } = instruction;
  if (instruction.do === 'probe-tool') return [probeOf(instruction, pick)];
  if (instruction.do !== 'call-model') return [toolEntry(state.calls.get(call), pick) ?? { type: 'suspended' }];
  const failed = outcomeOf(pick);
  if (!failed.ok) return [{ type: 'model-result', call, attempt, result: failed }];
  const toolCalls = Array.from({ length: (pick >> 2) % 3 }, (_, n) => ({
    toolCallId: `c${n}`,
    tool: chosen(CALLED, pick + n),
    args: { n },
  }));
  return [{ type: 'model-result', call, attempt, result: { ok: true, decision: decision({ toolCalls }) } }];
}

/** The next thing to be said of a tool that is due or under way. */
function toolEntry(open: OpenCall | undefined, pick: number): ProgressEntry | undefined {
  if (open?.kind !== 'tool' || open.waitsForRetry || open.deadLetter !== undefined) return undefined;
  const { call, attempt, execution } = open;
  if (pick % 7 === 0) return { type: 'effect-progressed', call, attempt, detail: { at: pick } };
  const outcome = outcomeOf(pick);
  // Whoever runs a tool with limits leaves the end to the owner.
  const asks = open.limits !== undefined && !outcome.ok && outcome.error.reaction === 'retryable' ? { asks: true } : {};
  if (!mustBeClaimed(open.effectClass)) return { type: 'effect-result', call, attempt, outcome, ...asks };
  if (execution === undefined) return { type: 'effect-claimed', call, attempt, executionId: `x${pick}` };
  if (execution.stage !== 'under-way') return undefined;
  const of = { call, attempt, executionId: execution.executionId };
  if (pick % 5 === 0) return { type: 'effect-not-started', ...of };
  if (pick % 3 === 0) return { type: 'effect-unknown', ...of, because: 'error', error: BROKEN };
  return { type: 'effect-result', call, attempt, outcome, ...asks };
}

const BROKEN = { code: 'SocketClosed', message: 'gone', reaction: 'terminal' as const };

function probeOf({ call, attempt, executionId, probe }: Extract<Instruction, { do: 'probe-tool' }>, pick: number): ProgressEntry {
  const found = [
    { verdict: 'happened' as const, result: pick },
    { verdict: 'absent' as const },
    { verdict: 'unknown' as const, error: BROKEN },
  ];
  return { type: 'probe-result', call, attempt, executionId, probe, found: chosen(found, pick) };
}

function childNews({ call, child, isDetached }: OpenChild, pick: number): DomainCommand {
  if (isDetached) return { type: 'NoteChildStarted', call, child };
  return { type: 'EndChild', call, child, outcome: outcomeOf(pick), ...(pick % 2 === 0 ? {} : { spent: nothingSpent }) };
}

function workflowEntries(state: OpenRun, { move: { kind: what, pick }, index }: Turn, offset: number): ProgressEntry[] {
  const call = `${index}.${offset}`;
  const open = [...state.calls.values()];
  const busy = open.find((candidate) => !isWaiting(candidate) && !candidate.waitsForRetry);
  const asleep = open.find((candidate) => candidate.kind === 'sleep');
  const [arrived] = state.inbound;
  if (arrived !== undefined && offset === 0 && what < 70)
    return [{ type: 'delivered', call: arrived.call, revision: arrived.revision }];
  const [instruction] = instructionsOf(state);
  if (instruction?.do === 'probe-tool' && offset === 0 && what < 60) return [probeOf(instruction, pick)];
  const ofTool = offset === 0 && what < 60 ? toolEntry(busy, pick) : undefined;
  if (ofTool !== undefined) return [ofTool];
  if (busy !== undefined && offset === 0 && what < 60 && busy.kind === 'model') {
    const outcome = outcomeOf(pick);
    return [
      {
        type: 'model-result',
        call: busy.call,
        attempt: busy.attempt,
        result: outcome.ok ? { ok: true, decision: decision() } : outcome,
      },
    ];
  }
  if (what < 45)
    return [
      { type: 'step', call, name: 'step', outcome: outcomeOf(pick) },
      { type: 'value', call: `${call}.v`, name: 'now', value: pick },
    ];
  if (what < 60) return [{ type: 'effect-intended', call, tool: chosen(CALLED, pick), args: pick, argsHash: 'h' }];
  if (what < 62) return [{ type: 'undo-registered', call, tool: chosen(['pay', 'send'], pick), args: pick, argsHash: 'h' }];
  if (what < 66) return [{ type: 'model-intended', call, model: 'm', promptHash: 'p' }];
  if (what < 71) return [{ type: 'timer-set', call, delayMs: pick }];
  if (what < 76) {
    const limit = pick % 2 === 0 ? {} : { timeoutMs: pick };
    return [{ type: 'signal-awaited', call, name: chosen(SIGNALS, pick >> 1), ...limit }];
  }
  if (what === 76 && pick % 2 === 0)
    return [
      {
        type: 'task-asked',
        call,
        title: 'which?',
        form: {},
        assignee: 'user:mia',
        remindMs: [pick],
        escalate: [{ afterMs: pick, to: 'role:head' }],
        ...(pick % 3 === 0 ? {} : { expires: { afterMs: 2 * pick, action: chosen(['fail', 'continue'] as const, pick >> 1) } }),
      },
    ];
  if (what < 77) return [{ type: 'message-sent', call, to: 'other', name: chosen(SIGNALS, pick), payload: pick }];
  if (what < 78) {
    const how = pick % 3 === 0 ? { detached: true } : {};
    return [{ type: 'child-requested', call, name: 'helper', input: pick, parentClose: chosen(CLOSES, pick), ...how }];
  }
  if (what < 80) return [{ type: 'timer-cancelled', call: asleep?.call ?? arrived?.call ?? call }];
  if (what < 88) return [{ type: 'suspended' }];
  if (what < 91) return [{ type: 'handed-over' }];
  if (what < 92) return [{ type: 'continued', input: pick }];
  if (what < 94) return [{ type: 'diverged', divergence: { call, expected: 'a', found: 'b', position: index } }];
  if (what < 96) return [{ type: 'cancelled' }];
  return pick % 4 > 1
    ? [{ type: 'suspended' }]
    : pick % 4 === 0
      ? [{ type: 'completed', output: pick }]
      : [{ type: 'failed', error: { code: 'X', message: 'x', reaction: 'terminal' } }];
}

function chosen<T>(from: readonly T[], pick: number): T {
  return from[pick % from.length] as T;
}
