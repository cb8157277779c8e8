import {
  errorRecordOf,
  fitsInto,
  MESSAGE_BYTES_MAX,
  type ErrorRecord,
  type Host,
  type KeyRing,
  type Signatures,
} from '@perdure/kernel';
import { AWAIT_HOLD_MS_MAX, type Answer, type CommandEnvelope, type RunAddress, type RunCommandOf } from '@perdure/run-contract';
import { requirementOf } from '@perdure/tenant-contract';
import { isOpen, progressAnswerOf, viewOf, type DomainCommand, type KnownCode, type RunState } from '@perdure/run-domain';
import { flawOfRefusal, flawOfVote } from './approval-desk';
import { isActive, keyOf } from './activation-keeper';
import { BranchDesk } from './branch-desk';
import { NO_CODE, type CodeBook } from './code-book';
import type { HotRuns } from './hot-runs';
import type { ModelCalls } from './model-calls';
import type { Approvals, InputValidator, NodeClock } from './ports';
import { accepted, parseRequest, refused } from './request';
import type { RunHistory, When } from './run-history';
import { stateViewOf } from './run-state-view';
import { codeStamp, type Judged } from './run.actor';
import { PooledDesk } from './pooled-desk';
import type { PooledEffects } from './pooled-effects';
import type { Snapshots } from './snapshots';
import { spokenBy } from './task-desk';
import type { UntoldRefusals } from './untold-refusals';
import type { Waiters } from './waiters';
import type { WorkerRegistry } from './worker-registry';

/** Requests under way at once: beyond it callers are asked to come back. */
const REQUESTS_MAX = 50_000;
const RETRY_MS = 200;

export interface SubmittedJob {
  readonly envelope: CommandEnvelope;
  readonly command: DomainCommand;
  readonly code: KnownCode;
  readonly codeStamp?: number;
}

export interface DeskPorts {
  readonly host: Host;
  readonly nodeClock?: NodeClock;
  readonly keys?: KeyRing;
  readonly runs: HotRuns;
  readonly code: CodeBook;
  readonly snapshots: Snapshots;
  readonly untold: UntoldRefusals;
  readonly history: RunHistory;
  readonly waiters: Waiters;
  readonly modelCalls: ModelCalls;
  readonly workers: () => WorkerRegistry;
  /** Whoever holds the run in that epoch is told what it has not been told. */
  readonly tell: (address: RunAddress, epoch: number) => void;
  readonly offers: () => Pick<PooledEffects, 'wasOffered'>;
  readonly approvals: Approvals;
  readonly validator: InputValidator;
  readonly signatures: Signatures;
  readonly signerKey: string | undefined;
}

/** An accepted answer whose value is JSON already. */
interface WrittenAnswer {
  readonly json: string;
}

/** Answers what callers, workers and other services ask of runs. */
export class RunDesk {
  private underWay = 0;
  private readonly branches: BranchDesk;

  private readonly pooled: PooledDesk;

  constructor(private readonly ports: DeskPorts) {
    this.pooled = new PooledDesk(ports, (address, job) => this.submit(address, job));
    this.branches = new BranchDesk(ports, (address, envelope, command) =>
      this.submit(address, { envelope, command, code: NO_CODE }),
    );
  }

  /** A request as it came from the bus; the answer is JSON text. Never throws. */
  async handle(address: RunAddress, text: string): Promise<string> {
    const answer = await this.answer(address, text);
    const json = 'json' in answer ? answer.json : JSON.stringify(answer);
    return fitsInto(MESSAGE_BYTES_MAX, json) ? json : JSON.stringify(refused(ANSWER_TOO_LARGE));
  }

  private async answer(address: RunAddress, text: string): Promise<Answer | WrittenAnswer> {
    const parsed = parseRequest(text);
    if ('error' in parsed) return refused(parsed.error);
    if (this.underWay >= REQUESTS_MAX) return refused(OVERLOADED);
    this.underWay += 1;
    try {
      const { nodeClock } = this.ports;
      if (nodeClock?.isSettled === false && !(await nodeClock.settled())) return refused(CLOCK_UNSETTLED);
      return await this.perform(address, parsed.envelope);
    } catch (error) {
      return refused(errorRecordOf(error));
    } finally {
      this.underWay -= 1;
    }
  }

  private async perform(address: RunAddress, envelope: CommandEnvelope): Promise<Answer | WrittenAnswer> {
    const { command } = envelope;
    switch (command.type) {
      case 'RecordProgress':
        return this.recordProgress(address, envelope, command);
      case 'StartRun':
        return this.startRun(address, envelope, command);
      case 'GetRun':
        return this.viewed(address, await this.ports.runs.of(address).settled());
      case 'GetState':
        return this.stateOf(address, command);
      case 'AwaitRun':
        return this.awaitRun(address, command.holdMs);
      case 'GetModelCalls':
        return this.modelCalls(address, command);
      case 'GetJournal':
        return this.journal(address, command);
      case 'ReleaseRun':
        return this.withBuild(address, envelope, command);
      case 'RepinRun':
        return this.withBuild(address, envelope, command);
      case 'ResolveEffect':
      case 'RedriveEffect':
      case 'GiveUpEffect':
        return this.resolveEffect(address, envelope, command);
      case 'ClaimEffect':
        return this.pooled.claim(address, envelope, command);
      case 'ReportEffect':
        return this.pooled.report(address, envelope, command);
      case 'RecordVote':
      case 'RecordRefusal':
        return this.recordDecision(address, envelope, command);
      case 'AnswerTask':
      case 'DelegateTask':
        return this.recordAnswer(address, envelope, command);
      case 'FireTimer':
        return this.fireTimer(address, envelope, command);
      case 'ForkRun':
        return this.branches.fork(address, envelope, command);
      case 'RewindRun':
        return this.branches.rewind(address, envelope, command);
      case 'RefuseRun':
      case 'CancelRun':
      case 'PauseRun':
      case 'TerminateRun':
      case 'ResumeRun':
      case 'SignalRun':
        return answered(address, await this.submit(address, { envelope, command, code: NO_CODE }));
    }
  }

  private async startRun(address: RunAddress, envelope: CommandEnvelope, command: RunCommandOf<'StartRun'>): Promise<Answer> {
    const request = await this.ports.code.request(address.tenant, command);
    if ('error' in request) return refused(request.error);
    await this.ports.keys?.create(address.tenant, address.runId);
    const asked = { ...request, requestedBy: envelope.actor.id };
    const judged = await this.submit(address, { envelope, command: asked, code: NO_CODE });
    return judged.accepted ? accepted({ runId: address.runId, started: true }) : refused(judged.rejection);
  }

  /** Both name a build: they are judged by what it is registered with. */
  private async withBuild(
    address: RunAddress,
    envelope: CommandEnvelope,
    command: RunCommandOf<'ReleaseRun' | 'RepinRun'>,
  ): Promise<Answer> {
    const state = await this.ports.runs.of(address).settled();
    const code = isOpen(state) ? await this.ports.code.of(address.tenant, command.buildId, state.request.name) : NO_CODE;
    return answered(address, await this.submit(address, { envelope, command, code, codeStamp: codeStamp(state) }));
  }

  private async recordProgress(
    address: RunAddress,
    envelope: CommandEnvelope,
    command: RunCommandOf<'RecordProgress'>,
  ): Promise<Answer | WrittenAnswer> {
    const actor = this.ports.runs.of(address);
    const state = actor.state ?? (await actor.settled());
    const known = isActive(state) ? await this.codeOf(address.tenant, state.activation.buildId, state.request.name) : NO_CODE;
    const approvals = this.ports.approvals.recent(address.tenant) ?? (await this.ports.approvals.of(address.tenant));
    const code: KnownCode = { ...known, approvalOf: (effect) => requirementOf(approvals, effect) };
    const judged = await this.submit(address, { envelope, command, code, codeStamp: codeStamp(state) });
    if (!judged.accepted) return refused(judged.rejection);
    const progress = progressAnswerOf(command, judged.state);
    const json = JSON.stringify(accepted(progress));
    if (fitsInto(MESSAGE_BYTES_MAX, json)) return { json };
    // Told at once, in as many messages as it takes.
    this.ports.tell(address, command.epoch);
    return accepted({ ...progress, inbound: [], instructions: [] });
  }

  private async resolveEffect(
    address: RunAddress,
    envelope: CommandEnvelope,
    command: RunCommandOf<'ResolveEffect' | 'RedriveEffect' | 'GiveUpEffect'>,
  ): Promise<Answer> {
    const state = await this.ports.runs.of(address).settled();
    // The run may be held by nobody: an agent goes on with its newest build.
    const code = isOpen(state) ? await this.ports.code.newest(address.tenant, state.request.name) : NO_CODE;
    const resolve = { ...command, by: envelope.actor };
    return answered(address, await this.submit(address, { envelope, command: resolve, code, codeStamp: codeStamp(state) }));
  }

  /** What a person has decided, or tried, under the signer's signature. */
  private async recordDecision(
    address: RunAddress,
    envelope: CommandEnvelope,
    command: RunCommandOf<'RecordVote'> | RunCommandOf<'RecordRefusal'>,
  ): Promise<Answer> {
    const state = await this.ports.runs.of(address).settled();
    const code = isOpen(state) ? await this.ports.code.newest(address.tenant, state.request.name) : NO_CODE;
    const flaw =
      command.type === 'RecordVote' ? flawOfVote(this.ports, address, command) : flawOfRefusal(this.ports, address, command);
    const examined = flaw === undefined ? command : { ...command, flaw };
    const judged = await this.submit(address, { envelope, command: examined, code, codeStamp: codeStamp(state) });
    const tried = judged.accepted && isOpen(judged.state) ? judged.state.refusals : [];
    const refusal = tried.find(({ commandId }) => commandId === envelope.id);
    if (refusal === undefined || command.type === 'RecordRefusal') return answered(address, judged);
    return refused({ code: refusal.code, message: refusal.message, reaction: 'terminal', details: { runId: address.runId } });
  }

  /** What a person says to what the run asks. */
  private async recordAnswer(
    address: RunAddress,
    envelope: CommandEnvelope,
    command: RunCommandOf<'AnswerTask' | 'DelegateTask'>,
  ): Promise<Answer> {
    const state = await this.ports.runs.of(address).settled();
    const code = isOpen(state) ? await this.ports.code.newest(address.tenant, state.request.name) : NO_CODE;
    const spoken = await spokenBy(this.ports, address, { envelope, command, state });
    return answered(address, await this.submit(address, { envelope, command: spoken, code, codeStamp: codeStamp(state) }));
  }

  /** Most timers say nothing of what comes next: only with the end of a tool call does an agent decide, with its newest build. */
  private async fireTimer(address: RunAddress, envelope: CommandEnvelope, command: RunCommandOf<'FireTimer'>): Promise<Answer> {
    if (!MAY_END_A_CALL.test(command.timerId)) return done(await this.submit(address, { envelope, command, code: NO_CODE }));
    const state = await this.ports.runs.of(address).settled();
    const code = isOpen(state) ? await this.ports.code.newest(address.tenant, state.request.name) : NO_CODE;
    return done(await this.submit(address, { envelope, command, code, codeStamp: codeStamp(state) }));
  }

  private async stateOf(address: RunAddress, { at, journalFrom, journalLimit }: RunCommandOf<'GetState'>): Promise<Answer> {
    const when: When = at === undefined ? { at: 'head' } : { at: 'revision', revision: at };
    const moment = await this.ports.history.moment(address, when, { exact: true });
    const page = { limit: journalLimit, ...(journalFrom === undefined ? {} : { from: journalFrom }) };
    return accepted(stateViewOf(address, moment, page));
  }

  private codeOf(tenant: string, buildId: string, name: string): KnownCode | Promise<KnownCode> {
    return this.ports.code.known(tenant, buildId, name) ?? this.ports.code.of(tenant, buildId, name);
  }

  private async awaitRun(address: RunAddress, holdMs: number): Promise<Answer> {
    const { runs, waiters } = this.ports;
    const state = await runs.of(address).settled();
    if (!isOpen(state)) return viewAnswer(address, state);
    await waiters.wait(keyOf(address), Math.min(holdMs, AWAIT_HOLD_MS_MAX));
    return this.viewed(address, await runs.of(address).settled());
  }

  private async modelCalls(address: RunAddress, asked: RunCommandOf<'GetModelCalls'>): Promise<Answer> {
    const page = await this.ports.modelCalls.page(address, asked);
    return page === undefined ? refused(NOT_FOUND) : accepted(page);
  }

  /** With what is known of the workers around it. */
  private viewed(address: RunAddress, state: RunState): Answer {
    if (!isOpen(state) || state.pin === undefined) return viewAnswer(address, state);
    const { pool, name } = state.request;
    const buildIsHosted = this.ports.workers().isHosted({ tenant: address.tenant, pool, name, build: state.pin });
    return accepted(viewOf(address, state, { buildIsHosted }));
  }

  /** Long runs have many segments: none is parsed only to be written again. */
  private async journal(address: RunAddress, command: RunCommandOf<'GetJournal'>): Promise<Answer | WrittenAnswer> {
    const state = await this.ports.runs.of(address).settled();
    if (!isActive(state) || state.epoch !== command.epoch) {
      return refused({ code: 'StaleEpoch', message: 'That activation has ended: let go of the run.', reaction: 'terminal' });
    }
    const items = await this.ports.snapshots.segmentText(address, state, command.segment);
    if (items !== undefined) return { json: `{"ok":true,"value":{"items":${items}}}` };
    return refused({
      code: 'SegmentNotFound',
      message: `The journal has no readable segment ${command.segment}.`,
      reaction: 'retryable',
    });
  }

  private async submit(address: RunAddress, job: SubmittedJob): Promise<Judged> {
    const { envelope, command, code, ...stamped } = job;
    const { clock, entropy } = this.ports.host;
    const provenance = {
      commandId: envelope.id,
      actor: `${envelope.actor.kind}:${envelope.actor.id}`,
      traceparent: envelope.traceparent,
    };
    const at = { nowMs: clock.nowMs(), commandId: envelope.id, fraction: entropy.fraction() };
    const judged = await this.ports.runs.of(address).submit({ given: { command, code, at }, provenance, ...stamped });
    this.ports.untold.see(address, command, judged);
    return judged;
  }
}

function answered(address: RunAddress, judged: Judged): Answer {
  return judged.accepted ? viewAnswer(address, judged.state) : refused(judged.rejection);
}

/** To services, which keep promises and look at nothing. */
function done(judged: Judged): Answer {
  return judged.accepted ? accepted(null) : refused(judged.rejection);
}

function viewAnswer(address: RunAddress, state: RunState): Answer {
  return state.status === 'none' ? refused(NOT_FOUND) : accepted(viewOf(address, state));
}

const MAY_END_A_CALL = /^(b\d+-)?(approval|start|total|task)-/;

const NOT_FOUND: ErrorRecord = {
  code: 'RunNotFound',
  message: 'No run with this id exists for this tenant. Check the id and the tenant, or start it.',
  reaction: 'terminal',
};

const ANSWER_TOO_LARGE: ErrorRecord = {
  code: 'AnswerTooLarge',
  message: 'The answer does not fit into one message. Ask for less of it: a smaller page, or an earlier revision.',
  reaction: 'terminal',
};

const CLOCK_UNSETTLED: ErrorRecord = {
  code: 'ClockUnsettled',
  message:
    'The clock of this node was set, or is wrong, and nothing is decided by it. Try again a little later; another node may answer then.',
  reaction: 'retryable',
  retryAfterMs: RETRY_MS,
};

const OVERLOADED: ErrorRecord = {
  code: 'Overloaded',
  message: 'Too many requests are under way here. Try again a little later.',
  reaction: 'retryable',
  retryAfterMs: RETRY_MS,
};
