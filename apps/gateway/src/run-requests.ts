import { delay, errorRecordOf, isToken, PerdureError, Terminal, type Bus, type Host } from '@perdure/kernel';
import {
  answer,
  forkAnswer,
  requestSubject,
  rewindAnswer,
  runAddress,
  runStateView,
  runView,
  startAnswer,
  type CommandEnvelopeInput,
  type RewindAnswer,
  type RunAddress,
  type LimitExtension,
  type RunExplanation,
  type RunLimits,
  type RunStateView,
  type RunView,
} from '@perdure/run-contract';
import type { z } from 'zod';

export interface StartRequest {
  readonly tenant: string;
  readonly name: string;
  readonly input: unknown;
  readonly idempotencyKey?: string;
  readonly pool?: string;
  readonly deadlineMs?: number;
  /** Who asks for it. */
  readonly by?: string;
  readonly limits?: RunLimits;
}

type Command = CommandEnvelopeInput['command'];

/** How long a caller of the gateway is kept waiting while nobody answers: then it is told to come back. */
const PATIENCE_MS = 10_000;
const REQUEST_TIMEOUT_MS = 2_000;
/** The owner folds a long history before it answers. */
const HISTORY_TIMEOUT_MS = 10_000;
const CONTROL = { pause: 'PauseRun', resume: 'ResumeRun', cancel: 'CancelRun', terminate: 'TerminateRun' } as const;
const AWAIT_HOLD_MS = 2_000;
const ANSWER_MARGIN_MS = 1_000;
const BACK_OFF_FIRST_MS = 25;
const BACK_OFF_MAX_MS = 500;

/**
 * Sends commands to the owners of runs, and repeats them until they are answered.
 * 1. What is repeated is the identical envelope: the owner recognises it by its id.
 * 2. The id of a run comes from the caller's key, so that a start that is repeated finds the first one.
 */
export class RunRequests {
  constructor(
    private readonly bus: Bus,
    private readonly host: Host,
  ) {}

  async start(request: StartRequest): Promise<{ readonly runId: string; readonly started: boolean }> {
    const { tenant, name, input, idempotencyKey, pool, deadlineMs, limits, by } = request;
    const address = runAddress(tenant, this.runIdOf(tenant, idempotencyKey));
    const bounds = {
      ...(pool === undefined ? {} : { pool }),
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
      ...(limits === undefined ? {} : { limits }),
    };
    const who = by === undefined ? {} : { actorId: by };
    const value = await this.send(address, { type: 'StartRun', name, input, ...bounds }, who);
    return startAnswer.parse(value);
  }

  async get(address: RunAddress): Promise<RunView> {
    return runView.parse(await this.send(address, { type: 'GetRun' }));
  }

  async why(address: RunAddress): Promise<RunExplanation> {
    const { runId, tenant, name, status, requestedAtMs, sinceMs = requestedAtMs, waitingOn, outcome } = await this.get(address);
    const atMs = this.host.clock.nowMs();
    return {
      runId,
      tenant,
      name,
      status,
      atMs,
      sinceMs,
      // The clocks of two machines differ a little: nothing is older than it can be.
      waitingOn: waitingOn.map((promise) => ({ ...promise, ageMs: Math.max(0, atMs - promise.sinceMs) })),
      ...(outcome === undefined ? {} : { outcome }),
    };
  }

  async cancel(address: RunAddress, reason: string | undefined): Promise<void> {
    await this.send(address, { type: 'CancelRun', ...(reason === undefined ? {} : { reason }) });
  }

  async pause(address: RunAddress, reason: string | undefined): Promise<void> {
    await this.send(address, { type: 'PauseRun', ...(reason === undefined ? {} : { reason }) });
  }

  async terminate(address: RunAddress, reason: string | undefined): Promise<void> {
    await this.send(address, { type: 'TerminateRun', ...(reason === undefined ? {} : { reason }) });
  }

  async resume(address: RunAddress, reason: string | undefined, extend?: LimitExtension): Promise<void> {
    const more = extend === undefined ? {} : { extend };
    await this.send(address, { type: 'ResumeRun', ...(reason === undefined ? {} : { reason }), ...more });
  }

  async repin(address: RunAddress, buildId: string, reason: string | undefined): Promise<void> {
    await this.send(address, { type: 'RepinRun', buildId, ...(reason === undefined ? {} : { reason }) });
  }

  /** Under an id of the caller's choice: the same again is the same command. */
  async control(
    address: RunAddress,
    verb: 'pause' | 'resume' | 'cancel' | 'terminate',
    { id, reason }: { readonly id: string; readonly reason?: string },
  ): Promise<void> {
    const type = CONTROL[verb];
    await this.send(address, { type, ...(reason === undefined ? {} : { reason }) }, { id });
  }

  async state(address: RunAddress, query: Omit<Extract<Command, { type: 'GetState' }>, 'type'>): Promise<RunStateView> {
    return runStateView.parse(await this.send(address, { type: 'GetState', ...query }, { timeoutMs: HISTORY_TIMEOUT_MS }));
  }

  /** The copy is a run of its own: it is asked for where that is to be. */
  async fork(
    { tenant, runId: source }: RunAddress,
    {
      idempotencyKey,
      ...how
    }: Omit<Extract<Command, { type: 'ForkRun' }>, 'type' | 'source'> & { readonly idempotencyKey?: string },
  ): Promise<z.infer<typeof forkAnswer>> {
    const address = runAddress(tenant, this.runIdOf(tenant, idempotencyKey));
    return forkAnswer.parse(await this.send(address, { type: 'ForkRun', source, ...how }, { timeoutMs: HISTORY_TIMEOUT_MS }));
  }

  async rewind(address: RunAddress, how: Omit<Extract<Command, { type: 'RewindRun' }>, 'type'>): Promise<RewindAnswer> {
    return rewindAnswer.parse(await this.send(address, { type: 'RewindRun', ...how }, { timeoutMs: HISTORY_TIMEOUT_MS }));
  }

  async signal(
    address: RunAddress,
    { name, payload, id }: { readonly name: string; readonly payload: unknown; readonly id?: string },
  ): Promise<void> {
    await this.send(address, { type: 'SignalRun', name, payload }, id === undefined ? {} : { id });
  }

  /** What a person says to what a run asks. */
  async saidBy(
    by: string,
    address: RunAddress,
    command: Extract<Command, { type: 'AnswerTask' | 'DelegateTask' }>,
  ): Promise<void> {
    await this.send(address, command, { actorId: by });
  }

  async resolveEffect(
    address: RunAddress,
    call: string,
    answer: Omit<Extract<Command, { type: 'ResolveEffect' }>, 'type' | 'call'> & { readonly by: string },
  ): Promise<void> {
    const { by, ...said } = answer;
    await this.send(address, { type: 'ResolveEffect', call, ...said }, { actorId: by });
  }

  /** Has an effect in the dead letters tried again, or gives it up. */
  async decideDeadLetter(
    address: RunAddress,
    type: 'RedriveEffect' | 'GiveUpEffect',
    { call, reason, by }: { readonly call: string; readonly reason?: string; readonly by: string },
  ): Promise<void> {
    await this.send(address, { type, call, ...(reason === undefined ? {} : { reason }) }, { actorId: by });
  }

  /** The run as it stands when it has ended, or after `waitMs`. */
  async awaitEnd(address: RunAddress, waitMs: number): Promise<RunView> {
    const until = this.host.clock.monotonicMs() + waitMs;
    for (;;) {
      const left = Math.max(0, until - this.host.clock.monotonicMs());
      const holdMs = Math.min(AWAIT_HOLD_MS, Math.floor(left));
      const view = runView.parse(
        await this.send(address, { type: 'AwaitRun', holdMs }, { timeoutMs: holdMs + ANSWER_MARGIN_MS }),
      );
      if (view.status === 'ended' || this.host.clock.monotonicMs() >= until) return view;
    }
  }

  private runIdOf(tenant: string, idempotencyKey: string | undefined): string {
    if (idempotencyKey === undefined) return this.host.entropy.uuid().replaceAll('-', '');
    return this.host.digest.sha256(`${tenant}\n${idempotencyKey}`).slice(0, 32);
  }

  private async send(
    address: RunAddress,
    command: Command,
    { timeoutMs = REQUEST_TIMEOUT_MS, actorId = 'gateway', id = this.host.entropy.uuid() } = {},
  ): Promise<unknown> {
    const envelope: CommandEnvelopeInput = {
      v: 1,
      id,
      actor: { kind: 'user', id: actorId },
      command,
    };
    return askUntilAnswered(this.bus, this.host, {
      subject: requestSubject.build(address),
      payload: JSON.stringify(envelope),
      timeoutMs,
    });
  }
}

export interface Question {
  readonly subject: string;
  readonly payload: string;
  readonly timeoutMs: number;
}

/** @throws PerdureError what the owner refused with, or the last reason why nobody answered */
export async function askUntilAnswered(bus: Bus, host: Host, { subject, payload, timeoutMs }: Question): Promise<unknown> {
  const giveUpAt = host.clock.monotonicMs() + PATIENCE_MS + timeoutMs - REQUEST_TIMEOUT_MS;
  for (let waitMs = BACK_OFF_FIRST_MS; ; waitMs = Math.min(BACK_OFF_MAX_MS, waitMs * 2)) {
    let refusal: PerdureError;
    try {
      const answered = answer.parse(JSON.parse(await bus.request(subject, payload, { timeoutMs })));
      if (answered.ok) return answered.value;
      refusal = PerdureError.fromRecord(answered.error as Parameters<typeof PerdureError.fromRecord>[0]);
    } catch (thrown) {
      refusal = thrown instanceof PerdureError ? thrown : PerdureError.fromRecord(errorRecordOf(thrown));
    }
    if (refusal.reaction !== 'retryable' || host.clock.monotonicMs() + waitMs >= giveUpAt) throw refusal;
    await delay(host, Math.max(waitMs, Math.min(refusal.retryAfterMs ?? 0, BACK_OFF_MAX_MS)));
  }
}

/** @throws Terminal `RunNotFound`: what cannot be an id is the id of no run */
export function addressOf(tenant: string, runId: string): RunAddress {
  if (!isToken(runId) || !isToken(tenant))
    throw new Terminal(
      'RunNotFound',
      `There is no run ${runId.slice(0, 80)} of tenant ${tenant.slice(0, 80)}. See the list at /v1/runs.`,
    );
  return { tenant, runId };
}
