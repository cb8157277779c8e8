import { canonicalJson, type ErrorRecord, type Host, type KeyRing } from '@perdure/kernel';
import {
  CARRIED_ITEMS_MAX,
  runAddress,
  type Answer,
  type CommandEnvelope,
  type RewindAnswer,
  type RunAddress,
  type RunCommandOf,
} from '@perdure/run-contract';
import { journalLength, type DomainCommand, type OpenRun, type RequestFork } from '@perdure/run-domain';
import type { CodeBook } from './code-book';
import type { HotRuns } from './hot-runs';
import { accepted, refused } from './request';
import type { Moment, RunHistory, When } from './run-history';
import type { Judged } from './run.actor';

/** How often a rewind looks again at a run that goes on meanwhile. */
const LOOKS_MAX = 5;

export interface BranchPorts {
  readonly host: Host;
  readonly keys?: KeyRing;
  readonly runs: HotRuns;
  readonly code: CodeBook;
  readonly history: RunHistory;
}

type Submit = (address: RunAddress, envelope: CommandEnvelope, command: DomainCommand) => Promise<Judged>;

/** Forks and rewinds: looks up in the log what they start from. What follows is decided as everything is. */
export class BranchDesk {
  constructor(
    private readonly ports: BranchPorts,
    private readonly submit: Submit,
  ) {}

  async fork(address: RunAddress, envelope: CommandEnvelope, command: RunCommandOf<'ForkRun'>): Promise<Answer> {
    const { runs, keys } = this.ports;
    const requestHash = this.hashOf(command);
    const known = await runs.of(address).settled();
    const isRepeat = known.status !== 'none' && known.request.requestHash === requestHash;
    if (isRepeat) return accepted({ runId: address.runId, forked: true, source: { runId: command.source } });
    const when: When = command.at === undefined ? { at: 'before-end' } : { at: 'revision', revision: command.at };
    const moment = await this.ports.history.moment(runAddress(address.tenant, command.source), when);
    const request = await this.forkRequest(address.tenant, command, moment);
    if ('error' in request) return refused(request.error);
    await keys?.create(address.tenant, address.runId);
    const judged = await this.submit(address, envelope, { ...request, requestHash, requestedBy: envelope.actor.id });
    if (!judged.accepted) return refused(judged.rejection);
    return accepted({ runId: address.runId, forked: true, source: request.source });
  }

  private async forkRequest(
    tenant: string,
    command: RunCommandOf<'ForkRun'>,
    { run, revision, approvals }: Moment,
  ): Promise<Omit<RequestFork, 'requestHash'> | { readonly error: ErrorRecord }> {
    const { kind, name, pool, input } = run.request;
    const { buildId, model } = command;
    const unfit = tooMuchToCarry(run) ?? (await this.unfitCode(tenant, run.request, command));
    if (unfit !== undefined) return { error: unfit };
    const fork = {
      type: 'RequestFork',
      kind,
      name,
      pool,
      source: { runId: command.source, revision },
      past: run,
      approvals,
      buildId,
      model,
    } as const;
    if (command.input === undefined) return { ...fork, input };
    if (kind === 'workflow' && (journalLength(run.journal) > 0 || run.calls.size > 0)) return { error: INPUT_NOT_REPLACEABLE };
    const checked = await this.ports.code.request(tenant, { type: 'StartRun', name, input: command.input, pool });
    return 'error' in checked ? checked : { ...fork, input: checked.input };
  }

  /** Why it cannot go on with the build or the model that is asked for. */
  private async unfitCode(
    tenant: string,
    { kind, name }: OpenRun['request'],
    { buildId, model }: RunCommandOf<'ForkRun'>,
  ): Promise<ErrorRecord | undefined> {
    const { code } = this.ports;
    const { behaviour } = buildId === undefined ? await code.newest(tenant, name) : await code.of(tenant, buildId, name);
    if (buildId !== undefined && behaviour?.kind !== kind) return unknownBuild(buildId, name);
    if (model === undefined) return undefined;
    const offered = behaviour?.kind === 'agent' ? [behaviour.model, ...(behaviour.otherModels ?? [])] : [];
    return offered.includes(model) ? undefined : modelNotOffered(model, name, offered);
  }

  private hashOf({ source, at, input, buildId, model }: RunCommandOf<'ForkRun'>): string {
    return this.ports.host.digest.sha256(canonicalJson({ fork: source, at, input, buildId, model }));
  }

  async rewind(address: RunAddress, envelope: CommandEnvelope, command: RunCommandOf<'RewindRun'>): Promise<Answer> {
    const { to, turn, dryRun, reason } = command;
    if ((to === undefined) === (turn === undefined)) return refused(ONE_OF_TWO);
    const when: When = turn === undefined ? { at: 'revision', revision: to ?? 0 } : { at: 'turn', turn };
    for (let look = 1; ; look += 1) {
      const state = await this.ports.runs.of(address).settled();
      if (state.status === 'ended') return refused(ENDED);
      const moment = await this.ports.history.moment(address, when);
      const tooMuch = tooMuchToCarry(moment.run);
      if (tooMuch !== undefined) return refused(tooMuch);
      const branch = (state.status === 'none' ? 0 : state.branch) + 1;
      if (dryRun) return accepted(answerOf(address, moment, { branch, dryRun }));
      const judged = await this.submit(address, envelope, {
        type: 'RewindRun',
        to: moment.revision,
        past: moment.run,
        asOf: moment.head,
        outcomes: moment.outcomesSince,
        sentSince: moment.signalsSince,
        approvals: moment.approvals,
        reason,
      });
      if (judged.accepted) return accepted(answerOf(address, moment, { branch, dryRun }));
      if (judged.rejection.code !== 'RunMovedOn' || look >= LOOKS_MAX) return refused(judged.rejection);
    }
  }
}

function answerOf(
  { runId }: RunAddress,
  { revision, effectsSince }: Moment,
  how: Pick<RewindAnswer, 'branch' | 'dryRun'>,
): RewindAnswer {
  return { runId, to: revision, ...how, effects: [...effectsSince] };
}

function tooMuchToCarry(run: OpenRun): ErrorRecord | undefined {
  const items = journalLength(run.journal);
  if (items <= CARRIED_ITEMS_MAX) return undefined;
  const message = `The run has ${items} journal items at that revision; a fork or a rewind carries ${CARRIED_ITEMS_MAX}. Choose an earlier one.`;
  return { code: 'HistoryTooLong', message, reaction: 'terminal', details: { items } };
}

function unknownBuild(buildId: string, name: string): ErrorRecord {
  const message = `No build ${buildId} that hosts ${name} is registered. See \`perdure builds list\`, or start a worker of it first.`;
  return { code: 'UnknownBuild', message, reaction: 'terminal', details: { buildId } };
}

function modelNotOffered(model: string, name: string, offered: readonly string[]): ErrorRecord {
  const hint =
    offered.length === 0
      ? 'The code of a workflow names its models itself.'
      : `It is declared with ${offered.join(', ')}: give others to agent({ otherModels }).`;
  return {
    code: 'ModelNotOffered',
    message: `${name} has no model ${model}. ${hint}`,
    reaction: 'terminal',
    details: { offered },
  };
}

const INPUT_NOT_REPLACEABLE = {
  code: 'InputNotReplaceable',
  message:
    'The code of this workflow has made calls by that revision, with the input that it had. Fork it at an earlier revision (at: 0), or start another run.',
  reaction: 'terminal',
} as const;
const ONE_OF_TWO = {
  code: 'MalformedRequest',
  message: 'Say where to go back to: either a revision (to) or, of an agent, a turn.',
  reaction: 'terminal',
} as const;
const ENDED = {
  code: 'RunAlreadyEnded',
  message: 'The run has ended, and an ended run never reopens: fork it instead.',
  reaction: 'terminal',
} as const;
