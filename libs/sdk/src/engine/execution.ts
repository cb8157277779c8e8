import { Cancelled, Retryable, Terminal, type Cancel, type Host, type Logger, type Reaction } from '@perdure/kernel';
import { modelDecision, type ModelDecision } from '@perdure/run-contract';
import type { RetryPolicy } from '@perdure/tenant-contract';
import { MODEL_TIMEOUT_MS } from './bounds';
import type { Model, ModelReply, ModelRequest, StepScope, Tool, ToolScope } from './definitions';
import { HeartbeatNotes, type Progress } from './heartbeat-notes';
import { failed, recordOf, succeeded, type Ended } from './outcome';
import { checkedOutput, issuesText } from './structured-output';

/** Runs code of users. Whatever it does, what comes back is a typed end; nothing here rejects. */
export interface Execution {
  readonly host: Host;
  /** Of the whole activation. */
  readonly signal: AbortSignal;
  readonly onUserCode?: OnUserCode | undefined;
}

/**
 * Hears when a step, a tool or a model begins, and when nobody waits for it any more: it has ended, or its time was up; and when the
 * engine waits before it goes on with one. `code`: which, in words.
 */
export type OnUserCode = (what: 'begins' | 'ends' | 'waits' | 'goes-on', code: string) => void;

const PAUSE = 'A pause';

/** Begins before it returns. */
function called<T>({ onUserCode }: Execution, code: string, run: () => T | Promise<T>): T | Promise<T> {
  if (onUserCode === undefined) return run();
  onUserCode('begins', code);
  return (async () => run())().finally(() => onUserCode('ends', code));
}

export interface ToolUse {
  readonly tool: Tool;
  readonly args: unknown;
  readonly attempt: number;
  readonly idempotencyKey: string;
  readonly executionId: string;
  readonly log: Logger;
  readonly progress: Progress;
}

/** Of a tool that may run again: whatever goes wrong is worth another attempt, unless the tool says otherwise. */
export async function runTool(execution: Execution, use: ToolUse): Promise<Ended> {
  const { tool } = use;
  const parsed = await parsedArguments(tool, use.args);
  if (!parsed.success) return parsed.ended;
  return limited(execution, {
    what: `The result of the tool ${tool.name}`,
    reaction: 'retryable',
    timeoutMs: tool.timeoutMs,
    timedOut: (why) => timedOut(tool, why),
    ...heartbeatOf(execution.host, use),
    run: (signal, heartbeat) => tool.execute(parsed.data, scopeOf(use, signal, heartbeat)),
  });
}

export function scopeOf(use: ToolUse, signal: AbortSignal, heartbeat: ToolScope['heartbeat']): ToolScope {
  const { attempt, idempotencyKey, executionId, log, progress } = use;
  return { idempotencyKey, executionId, attempt, signal, log, heartbeat, lastHeartbeat: progress.last };
}

/** How often a tool has to show a sign of life, and where what it says with it goes. */
export function heartbeatOf(host: Host, { tool, progress }: ToolUse): Pick<Limited, 'heartbeatMs' | 'onHeartbeat' | 'onEnd'> {
  const heartbeatMs = tool.timeouts?.heartbeatMs;
  const notes = new HeartbeatNotes(host, { tool: tool.name, progress });
  return {
    ...(heartbeatMs === undefined ? {} : { heartbeatMs }),
    onHeartbeat: (detail) => notes.add(detail),
    onEnd: ({ ok }) => notes.end(!ok),
  };
}

export function timedOut(tool: Tool, why: TimeIsUp = 'limit'): Retryable {
  const heartbeatMs = tool.timeouts?.heartbeatMs;
  if (why === 'heartbeat') {
    const text = `${tool.name} showed no sign of life for ${heartbeatMs} ms; call scope.heartbeat() oftener, or raise its timeouts.heartbeatMs.`;
    return new Retryable('ToolTimedOut', text, { details: { tool: tool.name, heartbeatMs } });
  }
  const message = `${tool.name} did not end within ${tool.timeoutMs} ms; raise its timeoutMs or make it quicker.`;
  return new Retryable('ToolTimedOut', message, { details: { tool: tool.name, timeoutMs: tool.timeoutMs } });
}

type Parsed =
  { readonly success: true; readonly data: unknown } | { readonly success: false; readonly ended: Extract<Ended, { ok: false }> };

export async function parsedArguments(tool: Tool, args: unknown): Promise<Parsed> {
  const parsed = await tool.input.safeParseAsync(args).catch((error: unknown) => ({ success: false as const, error }));
  return parsed.success ? parsed : { success: false, ended: failed(invalidArguments(tool, parsed.error)) };
}

export function invalidArguments(tool: Tool, error: unknown): ReturnType<typeof recordOf> {
  return recordOf(
    new Terminal('InvalidArguments', `The arguments of ${tool.name} do not fit its input: ${issuesText(error)}`),
    'terminal',
  );
}

export interface ModelUse {
  readonly model: Model;
  readonly prompt: Omit<ModelRequest, 'signal'>;
  readonly promptHash: string;
  /** Called before the first piece, of a model that gives its text in pieces. */
  tell(): Telling;
}

/** Hears the text of a call as it comes. */
export interface Telling {
  add(piece: string): void;
  end(): void;
}

export async function callModel(execution: Execution, use: ModelUse): Promise<Ended> {
  const { model, prompt, promptHash } = use;
  return limited(execution, {
    what: `The reply of the model ${model.id}`,
    reaction: 'retryable',
    timeoutMs: MODEL_TIMEOUT_MS,
    timedOut: () => new Retryable('ModelTimedOut', `${model.id} did not answer within ${MODEL_TIMEOUT_MS} ms.`),
    run: async (signal) => {
      const given = await replyOf(use, { ...prompt, signal });
      const reply = modelDecision.safeParse({ ...given, ...(await outputOf(given, prompt.output)), promptHash });
      if (reply.success) return reply.data;
      throw new Terminal(
        'InvalidModelReply',
        `${model.id} replied with something that is not a decision: ${reply.error.message}`,
      );
    },
  });
}

async function replyOf({ model, tell }: ModelUse, request: ModelRequest): Promise<ModelReply> {
  if (model.stream === undefined) return model.generate(request);
  const pieces = model.stream(request);
  let telling: Telling | undefined;
  try {
    for (let text = ''; ;) {
      const next = await pieces.next();
      if (next.done === true) return { ...next.value, text };
      request.signal.throwIfAborted();
      if (next.value === '') continue;
      text += next.value;
      telling ??= tell();
      telling.add(next.value);
    }
  } finally {
    telling?.end();
  }
}

/** An answer is checked; a decision to use tools is none yet. */
async function outputOf(
  { text, toolCalls }: ModelReply,
  schema: ModelRequest['output'],
): Promise<Pick<ModelDecision, 'output' | 'outputProblem'>> {
  if (schema === undefined || toolCalls.length > 0) return {};
  const checked = await checkedOutput(text, schema);
  return checked.ok ? { output: checked.value ?? null } : { outputProblem: checked.problem };
}

/** Which clock ran out. */
export type TimeIsUp = 'limit' | 'heartbeat';

interface Limited {
  readonly what: string;
  readonly reaction: Reaction;
  readonly timeoutMs: number;
  /** Without a sign of life for so long, its time is up. */
  readonly heartbeatMs?: number;
  onHeartbeat?(detail: unknown): void;
  /** Before anybody hears of it. */
  onEnd?(ended: Ended): void;
  timedOut(why: TimeIsUp): Error;
  run(signal: AbortSignal, heartbeat: (detail?: unknown) => void): unknown;
}

/** First of: its end, the limit of time. Cancelling only fires the signal: what was begun may still succeed. */
export function limited(execution: Execution, limits: Limited): Promise<Ended> {
  const { host, signal, onUserCode } = execution;
  return new Promise((resolve) => {
    const controller = new AbortController();
    const forward = (): void => controller.abort(signal.reason);
    if (signal.aborted) forward();
    else signal.addEventListener('abort', forward);
    let isOver = false;
    let cancelSilence: Cancel | undefined;
    const end = (ended: Ended): void => {
      if (!isOver) {
        onUserCode?.('ends', limits.what);
        limits.onEnd?.(ended);
      }
      isOver = true;
      cancelTimeout();
      cancelSilence?.();
      signal.removeEventListener('abort', forward);
      resolve(ended);
    };
    const timeIsUp = (why: TimeIsUp) => (): void => {
      const error = limits.timedOut(why);
      end(failed(recordOf(error, 'retryable')));
      controller.abort(error);
    };
    const cancelTimeout = host.timers.after(limits.timeoutMs, timeIsUp('limit'));
    const listen = (): void => {
      cancelSilence?.();
      if (limits.heartbeatMs !== undefined) cancelSilence = host.timers.after(limits.heartbeatMs, timeIsUp('heartbeat'));
    };
    const heartbeat = (detail?: unknown): void => {
      if (isOver) return;
      listen();
      limits.onHeartbeat?.(detail);
    };
    listen();
    onUserCode?.('begins', limits.what);
    const started = (async () => limits.run(controller.signal, heartbeat))();
    started.then(
      (value) => end(succeeded(value, limits.what)),
      (error: unknown) => end(failed(recordOf(error, limits.reaction))),
    );
  });
}

export interface StepUse {
  readonly name: string;
  readonly retry: Partial<RetryPolicy> | undefined;
  run(scope: StepScope): unknown;
}

/** Retries of a step are local: nothing of it is known outside before it has ended. */
export async function runStep(execution: Execution, use: StepUse): Promise<Ended> {
  const { host, signal } = execution;
  const {
    attemptsMax = use.retry === undefined ? 1 : 3,
    initialDelayMs = 100,
    factor = 2,
    delayMaxMs = 10_000,
  } = use.retry ?? {};
  const what = `The result of the step ${JSON.stringify(use.name)}`;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return succeeded(await called(execution, what, () => use.run({ signal, attempt })), what);
    } catch (error) {
      const record = recordOf(error, use.retry === undefined ? 'terminal' : 'retryable');
      if (record.reaction !== 'retryable' || attempt >= attemptsMax || signal.aborted) return failed(record);
      const ceilingMs = Math.min(delayMaxMs, initialDelayMs * factor ** (attempt - 1));
      const waited = await pause(execution, Math.max(ceilingMs * host.entropy.fraction(), record.retryAfterMs ?? 0));
      if (!waited) return failed(record);
    }
  }
}

/** False when the activation ended meanwhile. */
export function pause({ host, signal, onUserCode }: Execution, delayMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const stop = (): void => {
      cancel();
      onUserCode?.('goes-on', PAUSE);
      resolve(false);
    };
    onUserCode?.('waits', PAUSE);
    const cancel = host.timers.after(delayMs, () => {
      signal.removeEventListener('abort', stop);
      onUserCode?.('goes-on', PAUSE);
      resolve(true);
    });
    signal.addEventListener('abort', stop, { once: true });
  });
}

export function runCancelled(): Cancelled {
  return new Cancelled('RunCancelled', 'The run was cancelled.');
}
