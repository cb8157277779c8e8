import type { z } from 'zod';
import type { VersionRange } from './journaled-values';
import { CALLBACK_PREFIX, Terminal, type ErrorRecord, type Logger } from '@perdure/kernel';
import { callbackPayload, callbackToken, runAddress, type TaskTerms } from '@perdure/run-contract';
import { answerIn, termsOf, type AskOptions } from './asking';
import { errorOf } from './outcome';
import type {
  Callback,
  ChildOf,
  ChildOptions,
  Model,
  ModelPrompt,
  ModelReply,
  OutputPrompt,
  PollOptions,
  Received,
  StepOptions,
  StepScope,
  Tool,
  TypedReply,
  Waited,
  WaitOptions,
  WorkflowContext,
} from './definitions';
import { Continuation } from './continuation';
import { poll, type PollClock } from './poll';
import { askForOutput } from './structured-output';

/** Where the calls of a workflow's code go. Call ids are given by the scope that makes them. */
export interface CallPort {
  readonly runId: string;
  readonly tenant: string;
  readonly signal: AbortSignal;
  readonly log: Logger;
  /** For steps that wait: not for the code. */
  readonly clock: PollClock;
  step(call: string, name: string, use: { run(scope: StepScope): unknown; options: StepOptions }): Promise<unknown>;
  tool(call: string, tool: Tool, args: unknown): Promise<unknown>;
  onUndo(call: string, tool: Tool, args: unknown): Promise<unknown>;
  model(call: string, model: Model, prompt: ModelPrompt): Promise<unknown>;
  sleep(call: string, durationMs: number): Promise<unknown>;
  until(call: string, dueAtMs: number): Promise<unknown>;
  send(call: string, message: { readonly to: string; readonly name: string; readonly payload: unknown }): Promise<unknown>;
  child(call: string, name: string, order: { readonly input: unknown; readonly options: ChildOrder }): Promise<unknown>;
  /** Resolves with `Waited`. */
  waitFor(call: string, signal: string, timeoutMs: number | undefined): Promise<unknown>;
  /** Resolves with the answer. */
  ask(call: string, terms: TaskTerms): Promise<unknown>;
  value(call: string, name: 'now' | 'random' | 'uuid'): unknown;
  version(changeId: string, range: VersionRange): number;
}

/** As it is asked for. */
export type ChildOrder = ChildOptions & { readonly detached?: boolean };

type Branch = (ctx: WorkflowContext) => unknown;

/** Numbers the calls of one async scope: 1, 2, … at the top, and 3.2.1, … in the second branch of call 3. */
export class Scope implements WorkflowContext {
  readonly runId: string;
  readonly tenant: string;
  readonly signal: AbortSignal;
  readonly log: Logger;
  private made = 0;

  constructor(
    private readonly port: CallPort,
    private readonly prefix: string,
  ) {
    this.runId = port.runId;
    this.tenant = port.tenant;
    this.signal = port.signal;
    this.log = port.log;
  }

  step<T>(name: string, run: (scope: StepScope) => T | Promise<T>, options: StepOptions = {}): Promise<T> {
    return this.port.step(this.next(), name, { run, options }) as Promise<T>;
  }

  tool<I extends z.ZodType, R>(tool: Tool<I, R>, args: z.input<I>): Promise<R> {
    return this.port.tool(this.next(), tool as unknown as Tool, args) as Promise<R>;
  }

  onUndo<I extends z.ZodType, R>(tool: Tool<I, R>, args: z.input<I>): Promise<void> {
    return this.port.onUndo(this.next(), tool as unknown as Tool, args) as Promise<void>;
  }

  model<O extends z.ZodType>(model: Model, prompt: OutputPrompt<O>): Promise<TypedReply<z.output<O>>>;
  model(model: Model, prompt: ModelPrompt): Promise<ModelReply>;
  model(model: Model, prompt: ModelPrompt): Promise<ModelReply> {
    const call = this.next();
    const ask = (again: string, asked: ModelPrompt): Promise<ModelReply> =>
      this.port.model(again, model, asked) as Promise<ModelReply>;
    return prompt.output === undefined ? ask(call, prompt) : askForOutput(call, { prompt, output: prompt.output, ask });
  }

  child<I extends z.ZodType, O>(
    of: ChildOf<I, O>,
    input: z.input<I>,
    options: ChildOptions & { readonly detached: true },
  ): Promise<{ readonly runId: string }>;
  child<I extends z.ZodType, O>(of: ChildOf<I, O>, input: z.input<I>, options?: ChildOptions): Promise<O>;
  child(of: string, input: unknown, options: ChildOptions & { readonly detached: true }): Promise<{ readonly runId: string }>;
  child(of: string, input: unknown, options?: ChildOptions): Promise<unknown>;
  child(of: string | { readonly name: string }, input: unknown, options: ChildOrder = {}): Promise<never> {
    return this.port.child(this.next(), typeof of === 'string' ? of : of.name, { input, options }) as Promise<never>;
  }

  continueWith(input: unknown): never {
    throw new Continuation(input);
  }

  sleep(durationMs: number): Promise<void> {
    return this.port.sleep(this.next(), durationMs) as Promise<void>;
  }

  send(to: string, name: string, payload?: unknown): Promise<void> {
    return this.port.send(this.next(), { to, name, payload }) as Promise<void>;
  }

  async receive<T = unknown>(
    name: string,
    { timeoutMs, schema }: WaitOptions<T> & { readonly timeoutMs?: number } = {},
  ): Promise<Received<T>> {
    const waited = (await this.port.waitFor(this.next(), name, timeoutMs)) as Waited & { readonly from?: string };
    if (waited.timedOut) throw new Terminal('ReceiveTimedOut', `No message ${name} came in the time that there was.`);
    const payload = schema === undefined ? (waited.payload as T) : fitting(name, schema, waited.payload);
    return { from: waited.from, payload };
  }

  until(date: Date | number): Promise<void> {
    return this.port.until(this.next(), Number(date)) as Promise<void>;
  }

  waitFor<T = unknown>(signal: string, options?: WaitOptions<T>): Promise<T>;
  waitFor<T = unknown>(signal: string, options: WaitOptions<T> & { readonly timeoutMs: number }): Promise<Waited<T>>;
  async waitFor<T>(signal: string, options: WaitOptions<T> & { readonly timeoutMs?: number } = {}): Promise<T | Waited<T>> {
    const { timeoutMs, schema } = options;
    const waited = (await this.port.waitFor(this.next(), signal, timeoutMs)) as Waited<T>;
    if (waited.timedOut) return waited;
    const payload = schema === undefined ? waited.payload : fitting(signal, schema, waited.payload);
    return timeoutMs === undefined ? payload : { timedOut: false, payload };
  }

  async callback<T = unknown>({ timeoutMs, schema }: WaitOptions<T> & { readonly timeoutMs?: number } = {}): Promise<
    Callback<T>
  > {
    const name = `${CALLBACK_PREFIX}${this.uuid()}`;
    const result = answerOf<T>(this.port.waitFor(this.next(), name, timeoutMs), schema);
    // Nobody may be listening yet.
    result.catch(() => undefined);
    // What is recorded first has been recorded with all that was asked before: the wait.
    await this.port.step(this.next(), 'callback', { run: () => null, options: {} });
    return { token: callbackToken.build(runAddress(this.tenant, this.runId), name), result };
  }

  poll<T>(name: string, look: (scope: StepScope) => T | Promise<T>, options: PollOptions<T>): Promise<T> {
    return poll({ name, look, options }, new Scope(this.port, `${this.next()}.`), this.port.clock);
  }

  async ask<F extends z.ZodType>(asked: AskOptions<F>): Promise<z.output<F> | undefined> {
    return answerIn(asked, await this.port.ask(this.next(), termsOf(asked)));
  }

  now(): number {
    return this.port.value(this.next(), 'now') as number;
  }

  random(): number {
    return this.port.value(this.next(), 'random') as number;
  }

  uuid(): string {
    return this.port.value(this.next(), 'uuid') as string;
  }

  /** It takes no number: it may come into code that is under way. */
  version(changeId: string, range: VersionRange): number {
    return this.port.version(changeId, range);
  }

  all<T extends readonly Branch[]>(branches: readonly [...T]): Promise<{ [K in keyof T]: Awaited<ReturnType<T[K]>> }> {
    return Promise.all(this.branch(branches)) as Promise<{ [K in keyof T]: Awaited<ReturnType<T[K]>> }>;
  }

  race<T extends readonly Branch[]>(branches: readonly [...T]): Promise<Awaited<ReturnType<T[number]>>> {
    return Promise.race(this.branch(branches)) as Promise<Awaited<ReturnType<T[number]>>>;
  }

  private branch(branches: readonly Branch[]): Promise<unknown>[] {
    const call = this.next();
    return branches.map(async (branch, index) => branch(new Scope(this.port, `${call}.${index + 1}.`)));
  }

  private next(): string {
    this.made += 1;
    return this.prefix + this.made;
  }
}

async function answerOf<T>(waiting: Promise<unknown>, schema: z.ZodType<T> | undefined): Promise<T> {
  const waited = (await waiting) as Waited;
  if (waited.timedOut) throw new Terminal('CallbackTimedOut', 'Nobody answered in the time that there was.');
  const answer = callbackPayload.safeParse(waited.payload);
  if (!answer.success) throw new Terminal('InvalidCallback', `What was answered is no answer: ${answer.error.message}`);
  if ('error' in answer.data) throw errorOf(answer.data.error as ErrorRecord);
  return schema === undefined ? (answer.data.result as T) : fitting('callback', schema, answer.data.result);
}

/** The same live and on replay: what was recorded is what was sent. */
function fitting<T>(signal: string, schema: z.ZodType<T>, payload: unknown): T {
  const parsed = schema.safeParse(payload);
  if (parsed.success) return parsed.data;
  throw new Terminal('InvalidSignal', `What was sent as ${signal} does not fit what is waited for: ${parsed.error.message}`, {
    details: { signal },
  });
}
