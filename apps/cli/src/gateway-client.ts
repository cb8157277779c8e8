import { PerdureError, type ErrorRecord } from '@perdure/kernel';
import type { LimitExtension, RunLimits, Spending } from '@perdure/run-contract';
import type { BulkReport, Forked, Rewound, RunState } from './control-replies';
import type { TokenEvent } from '@perdure/sdk';
import { GatewayUnreachable } from './cli.errors';
import { lastingEvents } from './lasting-events';

/** What the gateway says of a run; the words of its API. */
export interface RunView {
  readonly runId: string;
  readonly kind: string;
  readonly name: string;
  readonly status: 'queued' | 'active' | 'suspended' | 'paused' | 'ended';
  readonly revision: number;
  readonly epoch: number;
  readonly workerId?: string;
  readonly buildId?: string;
  readonly requestedAtMs: number;
  readonly endedAtMs?: number;
  readonly pausedBecause?: string;
  readonly cancelRequested: boolean;
  readonly pauseRequested?: boolean;
  readonly unreadSignals?: number;
  readonly waitingOn: readonly {
    readonly promise: string;
    readonly keeper: string;
    readonly id: string;
    readonly sinceMs: number;
    readonly dueAtMs?: number;
    readonly detail?: string;
    readonly closedBy?: string;
  }[];
  readonly outcome?: Outcome;
  readonly turn?: number;
  /** Of which call of which run it is a child. */
  readonly parent?: { readonly runId: string; readonly call: string };
  readonly spent?: Spending;
  /** With its children, where that is more. */
  readonly spentByTree?: Spending;
  readonly limits?: RunLimits;
  /** How it ends is decided, and its effects are being undone. */
  readonly ending?: { readonly outcome: string; readonly undone: number; readonly left: number };
  readonly effects?: EffectsLeft;
}

interface NamedEffect {
  readonly call: string;
  readonly what: string;
}

/** What became of the effects of a run that did not complete. */
export interface EffectsLeft {
  readonly undone: readonly NamedEffect[];
  readonly notUndone: readonly (NamedEffect & { readonly why: string })[];
  readonly stays: readonly NamedEffect[];
  readonly unknown: readonly NamedEffect[];
  readonly staysBeyond?: number;
}

/** A build that workers have registered. */
export interface BuildLine {
  readonly buildId: string;
  readonly registeredAtMs: number;
  readonly hosts: readonly string[];
  readonly newestFor: readonly string[];
  readonly workers: readonly { readonly workerId: string; readonly draining: boolean }[];
  readonly runs: number;
  readonly standing: 'current' | 'draining' | 'stranded' | 'drained';
}

export interface LivePage {
  readonly complete: boolean;
  readonly runs: readonly { readonly runId: string; readonly name: string; readonly buildId?: string }[];
  readonly next?: string;
}

/** What a person may do to a run that is under way. */
export type ControlVerb = 'pause' | 'resume' | 'cancel' | 'terminate';

/** Why a run is where it is. */
export interface RunExplanation extends Pick<RunView, 'runId' | 'name' | 'status' | 'outcome'> {
  readonly atMs: number;
  readonly sinceMs: number;
  readonly waitingOn: readonly (RunView['waitingOn'][number] & { readonly ageMs: number })[];
}

export type Outcome =
  | { readonly status: 'completed'; readonly output: unknown }
  | { readonly status: 'failed'; readonly error: ErrorRecord }
  | { readonly status: 'cancelled'; readonly reason: string }
  | { readonly status: 'timed-out'; readonly deadlineAtMs: number }
  | {
      readonly status: 'terminated';
      readonly reason: string;
      readonly leftOpen: readonly { readonly call: string; readonly what: string }[];
    }
  | { readonly status: 'refused'; readonly code: string; readonly message: string };

export interface RunLine {
  readonly runId: string;
  readonly kind: string;
  readonly name: string;
  readonly status: string;
  readonly requestedAtMs: number;
  readonly changedAtMs: number;
  readonly workerId?: string;
  readonly epoch: number;
}

export interface Fact {
  readonly revision: number;
  readonly type: string;
  readonly atMs: number;
  readonly data: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** An effect of which nobody knows whether it happened. */
export interface EffectQuestion {
  readonly runId: string;
  readonly name: string;
  readonly call: string;
  readonly tool: string;
  readonly attempt: number;
  readonly executionId: string;
  readonly overByMs: number;
  readonly because: string;
  readonly why: string;
  readonly askedAtMs: number;
}

export interface EffectAnswer {
  readonly resolution: 'happened' | 'absent' | 'failed';
  readonly result?: unknown;
  readonly reason?: string;
  readonly by?: string;
}

/** An effect whose attempts are exhausted, and that waits for a person. */
export interface DeadLetter {
  readonly runId: string;
  readonly call: string;
  readonly tool: string;
  readonly attempt: number;
  readonly because: string;
  readonly errorCode: string;
  readonly deadLetteredAtMs: number;
}

export interface Redriven {
  readonly redriven: number;
  readonly results: readonly {
    readonly runId: string;
    readonly call: string;
    readonly redriven: boolean;
    readonly error?: ErrorRecord;
  }[];
}

/** What is recorded with what a person decides. */
export interface Said {
  readonly reason?: string;
  readonly by?: string;
}

export interface StartRequest {
  readonly name: string;
  readonly input: unknown;
  readonly idempotencyKey?: string;
  readonly deadlineMs?: number;
  /** Who asks for it. */
  readonly by?: string;
  readonly limits?: RunLimits;
}

interface Asked {
  readonly query?: Readonly<Record<string, unknown>>;
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
}

export class GatewayClient {
  constructor(
    readonly url: string,
    private readonly tenant = 'default',
  ) {}

  start(request: StartRequest): Promise<{ readonly runId: string; readonly started: boolean }> {
    return this.post('/v1/runs', request);
  }

  get(runId: string): Promise<RunView> {
    return this.ask('GET', `/v1/runs/${encodeURIComponent(runId)}`);
  }

  why(runId: string): Promise<RunExplanation> {
    return this.ask('GET', `/v1/runs/${encodeURIComponent(runId)}/why`);
  }

  result(runId: string, waitMs: number): Promise<RunView> {
    return this.ask('GET', `/v1/runs/${encodeURIComponent(runId)}/result`, { waitMs });
  }

  control(runId: string, verb: ControlVerb, reason?: string): Promise<{ readonly runId: string }> {
    return this.post(`/v1/runs/${encodeURIComponent(runId)}/${verb}`, { reason });
  }

  builds(): Promise<{ readonly complete: boolean; readonly builds: readonly BuildLine[] }> {
    return this.ask('GET', '/v1/builds');
  }

  liveRuns(after: string, buildId?: string): Promise<LivePage> {
    return this.ask('GET', '/v1/live-runs', { after, buildId });
  }

  /** A live run as another build would find it. */
  recorded(runId: string): Promise<unknown> {
    return this.ask('GET', `/v1/runs/${encodeURIComponent(runId)}/recorded`);
  }

  repin(runId: string, buildId: string, reason?: string): Promise<{ readonly runId: string }> {
    return this.post(`/v1/runs/${encodeURIComponent(runId)}/repin`, { buildId, reason });
  }

  state(
    runId: string,
    query: { readonly at?: number; readonly journalFrom?: number; readonly journalLimit?: number },
  ): Promise<RunState> {
    return this.ask('GET', `/v1/runs/${encodeURIComponent(runId)}/state`, query);
  }

  fork(
    runId: string,
    how: {
      readonly at?: number;
      readonly input?: unknown;
      readonly buildId?: string;
      readonly model?: string;
      readonly idempotencyKey: string;
    },
  ): Promise<Forked> {
    return this.post(`/v1/runs/${encodeURIComponent(runId)}/fork`, how);
  }

  rewind(
    runId: string,
    how: { readonly to?: number; readonly turn?: number; readonly dryRun: boolean; readonly reason?: string },
  ): Promise<Rewound> {
    return this.post(`/v1/runs/${encodeURIComponent(runId)}/rewind`, how);
  }

  bulk(request: object): Promise<BulkReport> {
    return this.post('/v1/runs/bulk', request);
  }

  /** `id`: the same signal again is recognised by it. */
  signal(runId: string, signal: { readonly name: string; readonly payload: unknown; readonly id?: string }): Promise<object> {
    return this.post(`/v1/runs/${encodeURIComponent(runId)}/signals`, signal);
  }

  /** Resumes a run that has used up a limit. */
  extend(runId: string, extend: LimitExtension, reason?: string): Promise<{ readonly runId: string }> {
    return this.post(`/v1/runs/${encodeURIComponent(runId)}/resume`, { reason, extend });
  }

  effects(limit?: number): Promise<{ readonly complete: boolean; readonly questions: readonly EffectQuestion[] }> {
    return this.ask('GET', '/v1/effects', { limit });
  }

  resolveEffect(runId: string, call: string, answer: EffectAnswer): Promise<{ readonly runId: string }> {
    return this.post(`/v1/runs/${encodeURIComponent(runId)}/effects/${encodeURIComponent(call)}/resolve`, answer);
  }

  deadLetters(query: {
    readonly tool?: string;
    readonly limit?: number;
  }): Promise<{ readonly complete: boolean; readonly deadLetters: readonly DeadLetter[] }> {
    return this.ask('GET', '/v1/dead-letters', query);
  }

  decideDeadLetter(runId: string, call: string, asked: { readonly verb: 'redrive' | 'fail' } & Said): Promise<object> {
    const { verb, ...said } = asked;
    return this.post(`/v1/runs/${encodeURIComponent(runId)}/effects/${encodeURIComponent(call)}/${verb}`, said);
  }

  redriveDeadLetters(asked: { readonly tool?: string } & Said): Promise<Redriven> {
    return this.post('/v1/dead-letters/redrive', asked);
  }

  list(query: {
    readonly status?: string;
    readonly limit?: number;
  }): Promise<{ readonly complete: boolean; readonly runs: readonly RunLine[] }> {
    return this.ask('GET', '/v1/runs', query);
  }

  agents(): Promise<{
    readonly agents: readonly { readonly name: string; readonly kind: string; readonly tools: readonly string[] }[];
  }> {
    return this.ask('GET', '/v1/agents');
  }

  events(
    runId: string,
    query: { readonly from?: number; readonly limit?: number },
  ): Promise<{ readonly facts: readonly Fact[]; readonly next?: number }> {
    return this.ask('GET', `/v1/runs/${encodeURIComponent(runId)}/events`, query);
  }

  /** The facts of a run as they are made, until it ends; survives the death of the gateway. */
  async *follow(runId: string, from = 0): AsyncGenerator<Fact> {
    let next = from;
    const open = (): Promise<Response> => this.stream(runId, 'stream', { query: { from: next } });
    for await (const fact of lastingEvents<Fact>(open)) {
      next = fact.revision + 1;
      yield fact;
    }
  }

  /** The text of its model calls as it comes, after the event `after` or from the beginning; survives the death of the gateway. */
  async *tokens(runId: string, after?: string): AsyncGenerator<TokenEvent> {
    let last = after;
    const open = (): Promise<Response> =>
      this.stream(runId, 'tokens', last === undefined ? {} : { headers: { 'last-event-id': last } });
    for await (const event of lastingEvents<TokenEvent>(open)) {
      last = event.id;
      yield event;
    }
  }

  private async stream(runId: string, name: 'stream' | 'tokens', asked: Asked): Promise<Response> {
    const response = await this.send('GET', `/v1/runs/${encodeURIComponent(runId)}/${name}`, asked);
    if (!response.ok) throw await refusalOf(response);
    return response;
  }

  post<T>(path: string, body: object): Promise<T> {
    return this.ask('POST', path, undefined, { ...body, tenant: this.tenant });
  }

  async ask<T>(method: string, path: string, ...[query, body]: [Readonly<Record<string, unknown>>?, object?]): Promise<T> {
    const response = await this.send(method, path, { ...(query ? { query } : {}), ...(body ? { body } : {}) });
    if (!response.ok) throw await refusalOf(response);
    return (await response.json()) as T;
  }

  private async send(method: string, path: string, { query = {}, body, headers = {} }: Asked): Promise<Response> {
    const url = new URL(path, this.url);
    if (method === 'GET') url.searchParams.set('tenant', this.tenant);
    for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, String(value));
    const init: RequestInit =
      body === undefined
        ? { method, headers }
        : { method, body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
    return fetch(url, init).catch((thrown: unknown) => {
      throw new GatewayUnreachable(this.url, thrown);
    });
  }
}

async function refusalOf(response: Response): Promise<PerdureError> {
  const text = await response.text().catch(() => '');
  try {
    const { error } = JSON.parse(text) as { error: ErrorRecord };
    return PerdureError.fromRecord(error);
  } catch {
    return new PerdureError(
      'UnexpectedAnswer',
      'terminal',
      `${response.url} answered ${response.status}: ${text.slice(0, 200)}. Is it a Perdure gateway?`,
    );
  }
}
