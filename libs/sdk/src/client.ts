import { Cancelled, InvariantViolated, Retryable, Terminal, token, type Bus, type Host } from '@perdure/kernel';
import type { BusConnection } from '@perdure/platform-bus-jetstream';
import { systemHost } from '@perdure/platform-host-node';
import {
  callbackToken,
  forkAnswer,
  requestSubject,
  rewindAnswer,
  runAddress,
  runStateView,
  runView,
  startAnswer,
  type CallbackPayload,
  type CommandEnvelopeInput,
  type LimitExtension,
  type RunLimits,
  type RewindAnswer,
  type RunOutcome,
  type RunStateView,
  type RunView,
} from '@perdure/run-contract';
import type { z } from 'zod';
import { Approvals } from './approvals';
import { checkInput } from './check-input';
import { connect, resolveConnection, type ConnectionOptions } from './connection';
import type { Agent, Behaviour, Workflow } from './engine/definitions';
import { ask } from './engine/ask';
import { errorOf, serialise } from './engine/outcome';
import { Schedules } from './schedules';
import { Tasks } from './tasks';
import type { TokenEvent } from './tokens/token-merge';
import { TokenReader, type TokensOptions } from './tokens/token-reader';

export interface ClientOptions extends ConnectionOptions {
  readonly tenant?: string;
  /** Who asks: recorded with whatever is asked for. By default `sdk`. */
  readonly by?: string;
  /** How long a request is repeated while nobody answers; 30 s by default. */
  readonly patienceMs?: number;
  readonly host?: Host;
}

export interface StartOptions {
  /** The same key with the same request gives the same run; with another request it is refused. */
  readonly idempotencyKey?: string;
  /** Wall-clock limit of the whole run. */
  readonly deadlineMs?: number;
  /** Instead of those that its author gave it. */
  readonly limits?: RunLimits;
  /** Only needed for a behaviour given by name that lives outside the pool it was registered with. */
  readonly pool?: string;
}

/** What the run of a behaviour gives. */
export type OutputOf<B> = B extends Agent<z.ZodType, infer O> ? O : B extends Workflow<z.ZodType, infer O> ? O : unknown;
export type InputOf<B> = B extends { readonly input: infer I extends z.ZodType } ? z.input<I> : unknown;

export interface RunHandle<O = unknown> {
  readonly runId: string;
  /**
   * Waits for the end, however long that takes.
   * @throws Terminal, Retryable or Cancelled: the error of the run, by the reaction it asks for
   */
  result(): Promise<O>;
  view(): Promise<RunView>;
  /** See Client.tokens. */
  tokens(options?: TokensOptions): AsyncIterable<TokenEvent>;
  /** Asks it to end: its code is told, and what is in flight is aborted. */
  cancel(reason?: string): Promise<void>;
  /** Holds it: what is under way is finished, nothing new begins until `resume`. */
  pause(reason?: string): Promise<void>;
  /** Tells it something: its code waits for it, or its model is shown it with its next turn. */
  signal(name: string, payload?: unknown): Promise<void>;
  /** Its folded state, as it is or as it was after a revision. */
  state(query?: StateQuery): Promise<RunStateView>;
  /** See Client.fork. */
  fork(options?: ForkOptions): Promise<RunHandle<O>>;
  /** See Client.rewind. */
  rewind(where: RewindWhere): Promise<RewindAnswer>;
  /** A workflow: lets another build go on with it, from its next activation on. */
  repin(buildId: string, reason?: string): Promise<void>;
  /**
   * Ends a pause, after what caused it has been mended, or takes back the request for one.
   * @param extend of a run that has used up a limit: so much more, beyond what it has used
   */
  resume(reason?: string, extend?: LimitExtension): Promise<void>;
  /** Ends it at once, without telling its code; its error names what was open. */
  terminate(reason?: string): Promise<void>;
  /** See Client.resolveEffect. */
  resolveEffect(call: string, resolution: EffectResolution): Promise<void>;
  /** See Client.redriveEffect. */
  redriveEffect(call: string, reason?: string): Promise<void>;
  /** See Client.giveUpEffect. */
  giveUpEffect(call: string, reason?: string): Promise<void>;
}

export interface StateQuery {
  /** After this revision. */
  readonly at?: number;
  /** The first journal item that is wanted; by default the newest page. */
  readonly journalFrom?: number;
  readonly journalLimit?: number;
}

export interface ForkOptions {
  /** The last revision that is copied; by default the last one before the decision that ended the source. */
  readonly at?: number;
  /** Another input; of a workflow only before its first call. */
  readonly input?: unknown;
  /** Pins it to this build; without one any build that hosts it may take it. */
  readonly buildId?: string;
  /** Of an agent: another one of those that it is declared with. */
  readonly model?: string;
  /** The same key with the same fork gives the same run. */
  readonly idempotencyKey?: string;
}

export type RewindWhere = { readonly dryRun?: boolean; readonly reason?: string } & (
  | { readonly to: number }
  /** Of an agent: its model is asked for this turn again. */
  | { readonly turn: number }
);

/** What a person has found out about an effect. */
export type EffectResolution = { readonly reason?: string } & (
  | { readonly as: 'happened'; readonly result?: unknown }
  /** It may run again. */
  | { readonly as: 'absent' }
  /** The code, or the model, is given the error. */
  | { readonly as: 'failed' }
);

const BY_DEFAULT = 'sdk';
const PATIENCE_MS = 30_000;
const REQUEST_TIMEOUT_MS = 2_000;
/** The owner folds a long history before it answers. */
const HISTORY_TIMEOUT_MS = 10_000;
/** The owner answers when the run ends, or after this: long enough to be cheap, short enough to notice a lost owner. */
const AWAIT_HOLD_MS = 2_000;
const AWAIT_TIMEOUT_MS = AWAIT_HOLD_MS + 1_000;

/** Starts runs, waits for them and asks about them. */
export class Client {
  /** What waits for the agreement of persons. */
  readonly approvals: Approvals;
  /** What runs ask of persons. */
  readonly tasks: Tasks;
  /** Runs that are started by the calendar. */
  readonly schedules: Schedules;
  private readonly tenant: string;
  private readonly by: string;

  constructor(
    private readonly ports: { readonly bus: Bus; readonly host: Host },
    private readonly options: Pick<ClientOptions, 'tenant' | 'by' | 'patienceMs'> = {},
    private readonly connection?: BusConnection,
  ) {
    const tenant = token(options.tenant ?? 'default', 'tenant');
    this.tenant = tenant;
    this.by = options.by ?? BY_DEFAULT;
    const patienceMs = options.patienceMs ?? PATIENCE_MS;
    this.approvals = new Approvals(ports, { tenant, patienceMs });
    this.tasks = new Tasks(ports, { tenant, by: this.by, patienceMs });
    this.schedules = new Schedules(ports, { tenant, by: this.by, patienceMs });
  }

  static async connect(options: ClientOptions = {}): Promise<Client> {
    const host = options.host ?? systemHost({ service: 'client' });
    const connection = await connect(resolveConnection(options), 'client', host);
    return new Client({ bus: connection.bus, host }, options, connection);
  }

  async close(): Promise<void> {
    await this.connection?.close();
  }

  /** Resolves when the request is in the log: from then on the run will end, and be known to have ended. */
  async start<B extends Behaviour>(behaviour: B, input: InputOf<B>, options?: StartOptions): Promise<RunHandle<OutputOf<B>>>;
  async start(name: string, input: unknown, options?: StartOptions): Promise<RunHandle>;
  async start(what: Behaviour | string, input: unknown, options: StartOptions = {}): Promise<RunHandle> {
    const { host } = this.ports;
    const { idempotencyKey, deadlineMs, limits, pool } = options;
    if (typeof what !== 'string') await checkInput(what, input);
    const plain = serialise(input, 'The input').value;
    const runId = this.runIdOf(idempotencyKey);
    const known =
      typeof what === 'string'
        ? { name: what, ...(pool === undefined ? {} : { pool }) }
        : { name: what.name, kind: what.kind, pool: pool ?? what.pool };
    const answer = await this.command(runId, {
      type: 'StartRun',
      ...known,
      input: plain,
      ...(deadlineMs === undefined ? {} : { deadlineMs: Math.ceil(deadlineMs) }),
      ...(limits === undefined ? {} : { limits }),
    });
    host.crashPoint('client-started');
    return this.get(startAnswer.parse(answer).runId);
  }

  /** A handle of a run that was started before, by whomever. */
  get<O = unknown>(runId: string): RunHandle<O> {
    token(runId, 'run id');
    return {
      runId,
      result: async () => this.await(runId) as Promise<O>,
      view: () => this.view(runId),
      tokens: (options) => this.tokens(runId, options),
      cancel: (reason) => this.cancel(runId, reason),
      pause: (reason) => this.pause(runId, reason),
      repin: (buildId, reason) => this.repin(runId, buildId, reason),
      signal: (name, payload) => this.signal(runId, name, payload),
      resume: (reason, extend) => this.resume(runId, reason, extend),
      state: (query) => this.state(runId, query),
      fork: (options) => this.fork<O>(runId, options),
      rewind: (where) => this.rewind(runId, where),
      terminate: (reason) => this.terminate(runId, reason),
      resolveEffect: (call, resolution) => this.resolveEffect(runId, call, resolution),
      redriveEffect: (call, reason) => this.redriveEffect(runId, call, reason),
      giveUpEffect: (call, reason) => this.giveUpEffect(runId, call, reason),
    };
  }

  /**
   * Answers a callback that a run waits for, by the token that its code has given away.
   * @throws Terminal `CallbackClosed` when it was answered before, or nobody waits any more
   */
  async answer(callback: string, answered: CallbackPayload): Promise<void> {
    const { address, name } = callbackToken.parse(callback);
    if (address.tenant !== this.tenant)
      throw new Terminal('InvalidCallback', `That callback is of tenant ${address.tenant}; this client is of ${this.tenant}.`);
    const { value } = serialise(answered, 'The answer');
    await this.command(address.runId, { type: 'SignalRun', name, payload: value });
  }

  /** See RunHandle.result. */
  async await(runId: string): Promise<unknown> {
    for (;;) {
      const view = runView.parse(await this.command(runId, { type: 'AwaitRun', holdMs: AWAIT_HOLD_MS }, AWAIT_TIMEOUT_MS));
      if (view.outcome !== undefined) return resultOf(runId, view.outcome, view.effects);
      if (view.status === 'ended') throw new InvariantViolated(`The run ${runId} has ended without an outcome.`);
    }
  }

  /**
   * The text of the run's model calls as it comes, until the run ends: first what has been said already, or what came after the
   * event `after`. Whoever does as the events say has on the screen what the log says, never anything twice.
   * @throws Terminal `RunNotFound`
   */
  tokens(runId: string, options?: TokensOptions): AsyncIterable<TokenEvent> {
    return new TokenReader(this.ports, runAddress(this.tenant, runId), options).read();
  }

  async view(runId: string): Promise<RunView> {
    return runView.parse(await this.command(runId, { type: 'GetRun' }));
  }

  async cancel(runId: string, reason?: string): Promise<void> {
    await this.command(runId, { type: 'CancelRun', ...(reason === undefined ? {} : { reason }) });
  }

  /** See RunHandle.pause. */
  async pause(runId: string, reason?: string): Promise<void> {
    await this.command(runId, { type: 'PauseRun', ...(reason === undefined ? {} : { reason }) });
  }

  /** See RunHandle.terminate. */
  async terminate(runId: string, reason?: string): Promise<void> {
    await this.command(runId, { type: 'TerminateRun', ...(reason === undefined ? {} : { reason }) });
  }

  /**
   * See RunHandle.repin.
   * @throws Terminal `UnknownBuild`, `NotPinned`
   */
  async repin(runId: string, buildId: string, reason?: string): Promise<void> {
    await this.command(runId, { type: 'RepinRun', buildId, ...(reason === undefined ? {} : { reason }) });
  }

  /** See RunHandle.resume. */
  async resume(runId: string, reason?: string, extend?: LimitExtension): Promise<void> {
    const more = extend === undefined ? {} : { extend };
    await this.command(runId, { type: 'ResumeRun', ...(reason === undefined ? {} : { reason }), ...more });
  }

  /** See RunHandle.state. */
  async state(runId: string, query: StateQuery = {}): Promise<RunStateView> {
    return runStateView.parse(await this.command(runId, { type: 'GetState', ...query }, HISTORY_TIMEOUT_MS));
  }

  /**
   * Starts another run as a copy of this one, which may have ended. Its timers run on; what may be under way in the
   * source is asked of a person; what the source has done stays the source's.
   * @throws Terminal `NoSuchRevision`, `InputNotReplaceable`, `ModelNotOffered`, `UnknownBuild`, `HistoryTooLong`
   */
  async fork<O = unknown>(runId: string, options: ForkOptions = {}): Promise<RunHandle<O>> {
    const { idempotencyKey, at, buildId, model } = options;
    const input = 'input' in options ? { input: serialise(options.input, 'The input').value } : {};
    const how = {
      ...(at === undefined ? {} : { at }),
      ...(buildId === undefined ? {} : { buildId }),
      ...(model === undefined ? {} : { model }),
    };
    const command = { type: 'ForkRun' as const, source: token(runId, 'run id'), ...how, ...input };
    const forked = forkAnswer.parse(await this.command(this.runIdOf(idempotencyKey), command, HISTORY_TIMEOUT_MS));
    return this.get<O>(forked.runId);
  }

  /**
   * Goes back to an earlier revision, or turn. What was done outside since stays done: the answer lists it.
   * @throws Terminal `EffectsUnsettled` while it is not known of an effect whether it happened; Retryable `RunMovedOn`
   */
  async rewind(runId: string, where: RewindWhere): Promise<RewindAnswer> {
    return rewindAnswer.parse(await this.command(runId, { type: 'RewindRun', ...where }, HISTORY_TIMEOUT_MS));
  }

  /**
   * See RunHandle.signal. What is sent twice arrives twice; only a repeat by this very call does not.
   * @throws Terminal `RunAlreadyEnded`; Retryable `TooManySignals` while the run reads none
   */
  async signal(runId: string, name: string, payload?: unknown): Promise<void> {
    const { value } = serialise(payload, 'The signal');
    await this.command(runId, { type: 'SignalRun', name: token(name, 'signal'), payload: value });
  }

  /**
   * Says what became of an effect that is in question: its run's view names it as a promise of a person.
   * @throws Retryable `EffectMayStillRun` for `absent` while the execution may be under way; Terminal `EffectNotInQuestion`
   */
  async resolveEffect(runId: string, call: string, resolution: EffectResolution): Promise<void> {
    const { as, reason } = resolution;
    const result = 'result' in resolution ? { result: serialise(resolution.result, 'The result').value } : {};
    const said = reason === undefined ? {} : { reason };
    await this.command(runId, { type: 'ResolveEffect', call, resolution: as, ...result, ...said });
  }

  /** Has an effect in the dead letters tried again. @throws Terminal `EffectNotDeadLettered` */
  async redriveEffect(runId: string, call: string, reason?: string): Promise<void> {
    await this.command(runId, { type: 'RedriveEffect', call, ...(reason === undefined ? {} : { reason }) });
  }

  /** Gives an effect in the dead letters up: its caller is given `EffectExhausted`. @throws Terminal `EffectNotDeadLettered` */
  async giveUpEffect(runId: string, call: string, reason?: string): Promise<void> {
    await this.command(runId, { type: 'GiveUpEffect', call, ...(reason === undefined ? {} : { reason }) });
  }

  private command(runId: string, command: CommandEnvelopeInput['command'], timeoutMs = REQUEST_TIMEOUT_MS): Promise<unknown> {
    const { host } = this.ports;
    const envelope: CommandEnvelopeInput = { v: 1, id: host.entropy.uuid(), actor: { kind: 'user', id: this.by }, command };
    return ask(this.ports, {
      subject: requestSubject.build(runAddress(this.tenant, runId)),
      payload: JSON.stringify(envelope),
      timeoutMs,
      untilMs: host.clock.monotonicMs() + (this.options.patienceMs ?? PATIENCE_MS),
    });
  }

  private runIdOf(idempotencyKey: string | undefined): string {
    const { digest, entropy } = this.ports.host;
    if (idempotencyKey === undefined) return entropy.uuid().replaceAll('-', '');
    return digest.sha256(`${this.tenant}\n${idempotencyKey}`).slice(0, 32);
  }
}

function resultOf(runId: string, outcome: RunOutcome, effects: RunView['effects']): unknown {
  // What of it is undone, what is not and why, and what nobody knows of.
  const details = { runId, ...(effects === undefined ? {} : { effects }) };
  switch (outcome.status) {
    case 'completed':
      return outcome.output;
    case 'failed':
      throw errorOf({ ...outcome.error, details: { ...outcome.error.details, ...details } });
    case 'cancelled':
      throw new Cancelled('RunCancelled', `The run was cancelled: ${outcome.reason}`, { details });
    case 'timed-out':
      throw new Terminal('RunTimedOut', 'The run did not end before its deadline.', {
        details: { ...details, deadlineAtMs: outcome.deadlineAtMs },
      });
    case 'terminated':
      throw new Terminal('RunTerminated', `The run was terminated: ${outcome.reason}`, {
        details: { ...details, leftOpen: outcome.leftOpen },
      });
    case 'refused': {
      const { code, message, retryAfterMs } = outcome;
      if (retryAfterMs === undefined) throw new Terminal(code, message, { details: { runId } });
      throw new Retryable(code, message, { retryAfterMs, details: { runId } });
    }
  }
}
