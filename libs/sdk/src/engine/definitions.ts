import type { Logger } from '@perdure/kernel';
import type { EditedUse, EffectClass, ModelCost, Outcome, ParentClosePolicy, RunLimits, ToolCall } from '@perdure/run-contract';
import type { AskTool, ChildTool, LoopGuard, RetryPolicy, ToolTimeouts } from '@perdure/tenant-contract';
import type { z } from 'zod';
import type { AskOptions, AskTerms } from './asking';

/** What a tool is given beside its input. */
export interface ToolScope {
  /** The same for every attempt of this use of the tool, in whatever process: pass it to the destination. */
  readonly idempotencyKey: string;
  /** Of this one execution: what is in the log of an effect that was claimed, and what a probe is asked about. */
  readonly executionId: string;
  /** 1 for the first. */
  readonly attempt: number;
  /** Fires when the run is cancelled, the time is up, or another worker has taken over. */
  readonly signal: AbortSignal;
  readonly log: Logger;
  /**
   * A sign of life of a tool that declares `timeouts.heartbeatMs`: without one for so long the attempt counts as over.
   * `detail`, up to 4 KiB of plain data, says how far it is: the newest is recorded, every five seconds at most and when the
   * attempt fails, and is given to whoever executes the effect next.
   * @throws RangeError `InvalidHeartbeat` when the detail is no plain data, or larger
   */
  heartbeat(detail?: unknown): void;
  /** What an execution of this effect before this one has said last and was recorded; undefined when there is nothing. */
  readonly lastHeartbeat: unknown;
}

/** What a destination says when it is asked what became of an execution. */
export type Probed<R = unknown> =
  | { readonly happened: true; readonly result: R }
  | { readonly happened: false }
  /** It cannot say yet: it is asked again later, and at last a person is. */
  | { readonly unknown: true; readonly why: string };

/** What a probe is given beside the input of the tool. */
export interface ProbeScope {
  readonly idempotencyKey: string;
  /** The execution that is asked about. */
  readonly executionId: string;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/** What undoes a use of a tool: an effect of its own. */
export interface Compensation {
  readonly effect: 'pure' | 'idempotent' | 'irreversible';
  readonly timeoutMs: number;
  readonly retry: RetryPolicy;
  undo(input: unknown, result: unknown, scope: ToolScope): Promise<unknown>;
}

/** A declared capability with an effect class. Made by `tool()`. */
export interface Tool<I extends z.ZodType = z.ZodType, R = unknown> {
  readonly kind: 'tool';
  readonly name: string;
  readonly description: string;
  readonly input: I;
  readonly effect: EffectClass;
  /** Executed by workers of this pool, whoever holds the run; absent: by the worker that holds it. */
  readonly pool?: string | undefined;
  /** It is only named here. */
  readonly declaredOnly?: boolean;
  /** A use of it is a run of its own. Made by `subagent()`. */
  readonly child?: ChildTool | undefined;
  /** A use of it is a question to a person. Made by `askPerson()`. */
  readonly ask?: AskTool | undefined;
  readonly timeoutMs: number;
  readonly retry: RetryPolicy;
  /** Never run without a grant, whatever the policies of the tenant say. */
  readonly approval?: 'required' | undefined;
  readonly timeouts?: ToolTimeouts | undefined;
  readonly onExhausted?: 'fail' | 'dead-letter' | undefined;
  readonly compensation?: Compensation | undefined;
  /** What its author wrote, by which builds are told apart. */
  readonly code: string;
  execute(input: z.output<I>, scope: ToolScope): Promise<R>;
  readonly probe?: ((input: z.output<I>, scope: ProbeScope) => Promise<Probed<R>>) | undefined;
}

/** One message of a conversation, as a model is given it. */
export type Message =
  | { readonly role: 'user'; readonly text: string }
  | { readonly role: 'assistant'; readonly text: string; readonly toolCalls: readonly ToolCall[] }
  | {
      readonly role: 'tool';
      readonly toolCallId: string;
      readonly tool: string;
      readonly outcome: Outcome;
      /** Present when persons approved of this use with other arguments than the model gave: tell it. */
      readonly edited?: EditedUse;
    };

export interface ModelTool {
  readonly name: string;
  readonly description: string;
  readonly input: z.ZodType;
}

export interface ModelRequest {
  readonly instructions: string;
  readonly messages: readonly Message[];
  readonly tools: readonly ModelTool[];
  /** The form that the answer shall have when it asks for no tool: JSON of this schema. */
  readonly output?: z.ZodType | undefined;
  /** Fires when the run is cancelled, the time is up, or another worker has taken over. */
  readonly signal: AbortSignal;
}

export interface ModelReply {
  readonly text: string;
  readonly toolCalls: readonly ToolCall[];
  readonly finishReason: string;
  readonly usage: {
    readonly inputTokens: number;
    readonly outputTokens: number;
    /** Of the input: read from the provider's cache. */
    readonly cachedInputTokens?: number;
    /** Of the output: not shown. */
    readonly reasoningTokens?: number;
  };
  readonly cost?: ModelCost;
  readonly provider: string;
  readonly modelVersion: string;
}

/** One call of a language model: no loop, no tools executed, no retries of its own. */
export interface Model {
  readonly id: string;
  generate(request: ModelRequest): Promise<ModelReply>;
  /**
   * The same call, whose text comes piece by piece: the pieces are the text, and what is returned is all the rest. Whoever reads
   * along sees them at once; a model without it is read when it has answered.
   */
  stream?(request: ModelRequest): AsyncGenerator<string, Omit<ModelReply, 'text'>, undefined>;
}

/** What a run may use up before a person is asked, or the run fails. */
export interface BehaviourLimits extends RunLimits {
  /** Becomes the deadline of a run that is started without one. */
  readonly wallTimeMs?: number;
}

/** Declared behaviour whose loop is the engine's. Made by `agent()`. */
export interface Agent<I extends z.ZodType = z.ZodType, O = unknown> {
  readonly kind: 'agent';
  readonly name: string;
  readonly pool: string;
  readonly model: Model;
  readonly otherModels: readonly Model[];
  readonly input: I;
  readonly tools: readonly Tool[];
  readonly modelRetry: RetryPolicy;
  /** The fewest turns that its model is shown, once there are so many; undefined = all of them. */
  readonly contextTurns: number | undefined;
  readonly limits: BehaviourLimits;
  readonly guard: LoopGuard;
  /** The form of what its runs give; without it that is the text of the model. */
  readonly output: z.ZodType<O> | undefined;
  /** What its author wrote, by which builds are told apart. */
  readonly code: string;
  instructionsFor(input: z.output<I>): string;
  promptFor(input: z.output<I>): string;
}

/** Control code. Made by `workflow()`. */
export interface Workflow<I extends z.ZodType = z.ZodType, O = unknown> {
  readonly kind: 'workflow';
  readonly name: string;
  readonly pool: string;
  readonly input: I;
  readonly tools: readonly Tool[];
  readonly modelRetry: RetryPolicy;
  readonly limits: BehaviourLimits;
  /** What its author wrote, by which builds are told apart. */
  readonly code: string;
  run(ctx: WorkflowContext, input: z.output<I>): Promise<O>;
}

export type Behaviour = Agent | Workflow;

/** What the function of a step is given. */
export interface StepScope {
  readonly signal: AbortSignal;
  /** 1 for the first. */
  readonly attempt: number;
}

export interface StepOptions {
  /**
   * The function only computes: running it again does no harm. Its result is recorded in the background, and the
   * code goes on at once. Without this the result is recorded before the code goes on.
   */
  readonly pure?: boolean;
  /** Tries again in the same worker. A step that declares nothing is tried once. */
  readonly retry?: Partial<RetryPolicy>;
}

/** The reply to a prompt that asks for a form: the answer in it. */
export type TypedReply<O> = ModelReply & { readonly output: O };

/** Asks for an answer of a form: without tools, since whoever may use them need not answer. */
export type OutputPrompt<O extends z.ZodType> = ModelPrompt & { readonly output: O; readonly tools?: undefined };

export type ModelPrompt = {
  readonly instructions?: string;
  readonly tools?: readonly ModelTool[];
  readonly output?: z.ZodType;
} & ({ readonly prompt: string } | { readonly messages: readonly Message[] });

export interface WaitOptions<T = unknown> {
  /** What is sent has to fit it; else the wait fails with `InvalidSignal`. */
  readonly schema?: z.ZodType<T>;
}

/** How a wait with a limit of time ended. */
export type Waited<T = unknown> = { readonly timedOut: false; readonly payload: T } | { readonly timedOut: true };

/** How a run that another one starts is started. */
export interface ChildOptions {
  /** Instead of the pool of its author. */
  readonly pool?: string;
  /** Wall-clock limit of the child, from its request. */
  readonly deadlineMs?: number;
  readonly limits?: RunLimits;
  /**
   * What becomes of it when its parent ends or is cancelled before it: `cancel` (the default: it is cancelled, and a parent that is
   * cancelled waits for that, for a while), `request` (it is asked to cancel, and nobody waits), `abandon` (it goes on).
   */
  readonly parentClose?: ParentClosePolicy;
}

/** What is started: by its definition, or by its name where that lives in another code base. */
export type ChildOf<I extends z.ZodType, O> = Agent<I, O> | Workflow<I, O>;

/** A message of another run, or a signal from outside, which comes from no run. */
export interface Received<T = unknown> {
  /** Its run id: answer it with `ctx.send(from, …)`. */
  readonly from: string | undefined;
  readonly payload: T;
}

/** Somebody outside is to answer, once, at some time. */
export interface Callback<T = unknown> {
  /** Whoever has it may answer: `POST /v1/callbacks/<token>` with `{ "result": … }` or `{ "error": { code, message } }`, or `client.answer(token, …)`. */
  readonly token: string;
  /** The answer; rejects with the error that was answered, or `CallbackTimedOut`. */
  readonly result: Promise<T>;
}

export interface PollOptions<T> {
  readonly everyMs: number;
  /** While the same is seen each pause is `factor` times the one before, up to `maxMs`. */
  readonly backoff?: { readonly factor: number; readonly maxMs: number };
  /** Whether what was seen is what is waited for; by default whatever is not empty, false or zero. */
  until?(value: T): boolean;
  /** By default for ever. */
  readonly timeoutMs?: number;
}

type Expiry<F extends z.ZodType, A> = Omit<NonNullable<AskTerms<F>['expires']>, 'action'> & { readonly action: A };

type Branch = (ctx: WorkflowContext) => unknown;

/**
 * All that the code of a workflow may ask of the world. Calls are numbered when they are made, so the code must
 * make the same calls in the same order when it runs again; whatever else it awaits belongs into a step.
 */
export interface WorkflowContext {
  readonly runId: string;
  readonly tenant: string;
  /** Fires when the run is cancelled or taken over. */
  readonly signal: AbortSignal;
  /** Silent while recorded results are replayed, so that nothing is logged twice. */
  readonly log: Logger;
  step<T>(name: string, run: (scope: StepScope) => T | Promise<T>, options?: StepOptions): Promise<T>;
  tool<I extends z.ZodType, R>(tool: Tool<I, R>, args: z.input<I>): Promise<R>;
  /**
   * Asks for an answer of the form `output`; one that does not have it is given back to the model, three times at most.
   * @throws Terminal `InvalidModelOutput`
   */
  model<O extends z.ZodType>(model: Model, prompt: OutputPrompt<O>): Promise<TypedReply<z.output<O>>>;
  model(model: Model, prompt: ModelPrompt): Promise<ModelReply>;
  /**
   * Registers a use of a tool that is made should the run not complete: newest first, among what the tools themselves declare.
   * Register it before what it undoes is begun, or as soon as it is done.
   */
  onUndo<I extends z.ZodType, R>(tool: Tool<I, R>, args: z.input<I>): Promise<void>;
  /**
   * Starts a run of its own, once, and waits for its end: its output, or its typed error (`ChildCancelled`, `ChildTimedOut`,
   * `ChildTerminated`, or whatever it failed with). With `detached` only its start is waited for.
   */
  child<I extends z.ZodType, O>(
    of: ChildOf<I, O>,
    input: z.input<I>,
    options: ChildOptions & { readonly detached: true },
  ): Promise<{ readonly runId: string }>;
  child<I extends z.ZodType, O>(of: ChildOf<I, O>, input: z.input<I>, options?: ChildOptions): Promise<O>;
  child(of: string, input: unknown, options: ChildOptions & { readonly detached: true }): Promise<{ readonly runId: string }>;
  child(of: string, input: unknown, options?: ChildOptions): Promise<unknown>;
  /**
   * Ends this pass of the code, and begins another one with another input: the same run, with nothing of what was before but
   * signals that nobody has read. For what never ends: its journal stays short. It does not return; whatever catches what it
   * throws has to throw it on. Effects of the pass are done: what fails later does not undo them.
   */
  continueWith(input: unknown): never;
  sleep(durationMs: number): Promise<void>;
  /** Sleeps until a date, or a time in milliseconds since 1970; one that is over ends at once. Never early by the clock of its owner. */
  until(date: Date | number): Promise<void>;
  /** A durable wait for a signal; one that was sent before and nobody has read answers at once. */
  waitFor<T = unknown>(signal: string, options?: WaitOptions<T>): Promise<T>;
  waitFor<T = unknown>(signal: string, options: WaitOptions<T> & { readonly timeoutMs: number }): Promise<Waited<T>>;
  /**
   * Sends another run a message: to its code a signal that says who sent it, to its model news. It arrives once, and in order with
   * the other messages of this run to that one. Resolves when that run has it; rejects with `RecipientEnded` or `RecipientNotFound`
   * when it never will, and waits while it takes no more.
   */
  send(to: string, name: string, payload?: unknown): Promise<void>;
  /** As `waitFor`, with who sent it. @throws Terminal `ReceiveTimedOut` */
  receive<T = unknown>(name: string, options?: WaitOptions<T> & { readonly timeoutMs?: number }): Promise<Received<T>>;
  /**
   * A durable wait for an answer from outside, by a token of its own that works once: give it to whoever works for long, then await
   * `result`. It waits as soon as this has resolved.
   */
  callback<T = unknown>(options?: WaitOptions<T> & { readonly timeoutMs?: number }): Promise<Callback<T>>;
  /**
   * Looks again and again, until what it sees is what is waited for. Only what differs from what was seen before is recorded. A look that
   * fails is made again with the next pause, ten times in a row, unless it throws a `Terminal`.
   * @throws Terminal `PollTimedOut`
   */
  poll<T>(name: string, look: (scope: StepScope) => T | Promise<T>, options: PollOptions<T>): Promise<T>;
  /**
   * Asks a person, and waits durably for the answer, which fits `form` before it is taken. What becomes of it when nobody answers,
   * `expires` says; with `continue` the code is given `undefined`.
   * @throws Terminal `TaskExpired` with `expires.action` `fail`; `InvalidQuestion`
   */
  ask<F extends z.ZodType>(asked: AskOptions<F> & { readonly expires: Expiry<F, 'continue'> }): Promise<z.output<F> | undefined>;
  ask<F extends z.ZodType>(asked: AskOptions<F>): Promise<z.output<F>>;
  /** Recorded values: the same when the code runs again. */
  now(): number;
  random(): number;
  uuid(): string;
  /**
   * Which way changed code goes: `max` in a run that comes here for the first time, `min` in one that came by before the change
   * was made, and the same for the same name ever after. It may be put into code that runs are under way with, and taken out
   * again when none of them is older: `if (ctx.version('fees', { min: 0, max: 1 }) === 1) … else …`.
   */
  version(changeId: string, range: { readonly min: number; readonly max: number }): number;
  /** Runs branches concurrently; each has a numbering of its own. */
  all<T extends readonly Branch[]>(branches: readonly [...T]): Promise<{ [K in keyof T]: Awaited<ReturnType<T[K]>> }>;
  race<T extends readonly Branch[]>(branches: readonly [...T]): Promise<Awaited<ReturnType<T[number]>>>;
}
