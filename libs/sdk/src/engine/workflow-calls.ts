import { ASK_NAME, canonicalJson, fitsInto, isToken, mustBeClaimed, PerdureError, Terminal, type Logger } from '@perdure/kernel';
import type { RetryPolicy } from '@perdure/tenant-contract';
import {
  childRequestedEntry,
  SIGNAL_BYTES_MAX,
  TIMER_DELAY_MS_MAX,
  type Activate,
  type Instruction,
  type TaskTerms,
} from '@perdure/run-contract';
import { probe, useClaimed, type ClaimedToolUse, type ClaimPort, type ProbeTool } from './claimed-effect';
import type { Model, ModelPrompt, Tool, Workflow } from './definitions';
import * as entry from './entries';
import { callModel, invalidArguments, pause, runStep, runTool, type Execution, type Telling, type ToolUse } from './execution';
import { progressOf } from './heartbeat-notes';
import { idempotencyKeyOf } from './identity';
import { checkVersion, type JournaledValues, type VersionRange } from './journaled-values';
import { undoneElsewhere } from '../policies';
import { asksOwner, errorOf, mayBeTriedAgain, recordOf, serialise, succeeded, type Ended, type Serialised } from './outcome';
import type { CallIdentity } from './replay-journal';
import type { PollClock } from './poll';
import type { CallPort, ChildOrder } from './workflow-context';

export type RunTool = Extract<Instruction, { do: 'run-tool' }>;

/** What a call does once the code has made it. */
export interface CallWork {
  /** Starts what the call stands for; for intended calls, records the intention. */
  begin(): void;
  /** Runs an attempt of an intended call; the owner counts them, and says in its instructions whether to claim it. */
  attempt?(attempt: number, instruction: RunTool | undefined): Promise<AttemptEnd>;
  /** Asks what became of an attempt. */
  probe?(instruction: ProbeTool): Promise<AttemptEnd>;
}

export interface AttemptEnd {
  /** What is reported; absent when there is nothing to say. */
  readonly text: string | undefined;
  /** What the code is given; absent when the owner will ask for more first. */
  readonly ended: Ended | undefined;
  /** It was not begun: it may be asked for again under the same number. */
  readonly notBegun?: boolean;
}

/** Where calls are numbered, compared with what is recorded, and answered. */
export interface CallDesk extends ClaimPort {
  make(identity: CallIdentity, work: CallWork): Promise<unknown>;
  readonly values: JournaledValues;
  /** The end of something local. */
  finishStep(call: string, ended: Ended, report: { readonly text: string; readonly recordedFirst: boolean }): void;
  startStep(): void;
  /** Records an intention, and then begins its first attempt. */
  intend(call: string, text: string): void;
  /** `text`: what is recorded of it. */
  setTimer(call: string, delayMs: number, text: string): void;
  tell(call: string, attempt: number): Telling;
}

export interface CallSurroundings {
  readonly order: Activate;
  readonly workflow: Workflow;
  readonly tools: ReadonlyMap<string, Tool>;
  readonly execution: Execution;
  /** Of the code: silent while it is replayed. */
  readonly log: Logger;
}

const TOKEN_FORM = '1 to 64 letters, digits, "_" or "-"';

type ToolOfCall = Pick<ToolUse, 'tool' | 'args' | 'idempotencyKey' | 'log'>;
type ToolOfAttempt = ToolOfCall & Pick<ToolUse, 'progress'>;

/** Turns what the code asks for into calls: checks it, names it, and says how it is done and recorded. */
export class WorkflowCalls implements CallPort {
  readonly runId: string;
  readonly tenant: string;
  readonly signal: AbortSignal;
  readonly log: Logger;
  readonly clock: PollClock;

  constructor(
    private readonly given: CallSurroundings,
    private readonly desk: CallDesk,
  ) {
    this.runId = given.order.runId;
    this.tenant = given.order.tenant;
    this.signal = given.execution.signal;
    this.log = given.log;
    this.clock = { nowMs: () => given.execution.host.clock.nowMs(), pause: (delayMs) => this.pause(delayMs) };
  }

  value(call: string, name: 'now' | 'random' | 'uuid'): unknown {
    return this.desk.values.value(call, name);
  }

  version(changeId: string, range: VersionRange): number {
    checkVersion(changeId, range);
    return this.desk.values.version(changeId, range);
  }

  step(call: string, name: string, use: Parameters<CallPort['step']>[2]): Promise<unknown> {
    if (name.length < 1 || name.length > 200)
      return rejected(new Terminal('InvalidName', 'The name of a step has 1 to 200 characters.'));
    const { pure = false, retry } = use.options;
    const begin = (): void => {
      this.desk.startStep();
      void runStep(this.given.execution, { name, retry, run: (scope) => use.run(scope) }).then((ended) => {
        this.desk.finishStep(call, ended, { text: entry.stepEntry(call, name, ended.text), recordedFirst: !pure });
      });
    };
    return this.desk.make({ call, kind: 'step', name }, { begin });
  }

  /** Within a step: it is not the code that takes this time. */
  private async pause(delayMs: number): Promise<boolean> {
    const { execution } = this.given;
    execution.onUserCode?.('ends', POLL);
    const isWanted = await pause(execution, delayMs);
    execution.onUserCode?.('begins', POLL);
    return isWanted;
  }

  tool(call: string, tool: Tool, args: unknown): Promise<unknown> {
    const { execution } = this.given;
    if (tool.child !== undefined)
      return rejected(new Terminal('NotATool', `${tool.name} is a run of its own: start it with ctx.child.`));
    if (tool.ask !== undefined) return rejected(new Terminal('NotATool', `${tool.name} is a question: ask it with ctx.ask.`));
    const plain = this.plainArguments(tool, args);
    if ('error' in plain) return rejected(plain.error);
    const argsHash = execution.host.digest.sha256(canonicalJson(plain.value));
    const intention = entry.effectIntendedEntry({ call, tool: tool.name, args: plain.text, argsHash });
    const idempotencyKey = idempotencyKeyOf(this.given.order, call);
    const { log } = execution.host;
    const use = { tool, args: plain.value, idempotencyKey, log };
    const identity = { call, kind: 'tool' as const, name: tool.name, hash: argsHash };
    // What becomes of it comes as a fact, as the end of a sleep does.
    if (tool.pool !== undefined) return this.desk.make(identity, { begin: () => this.desk.intend(call, intention) });
    return this.desk.make(identity, {
      begin: () => this.desk.intend(call, intention),
      attempt: (attempt, instruction) => this.attempt(call, attempt, { ...use, instruction }),
      probe: async (instruction) => {
        const { text, ended } = await probe(execution, { tool, instruction, idempotencyKey, log });
        return { text, ended };
      },
    });
  }

  private attempt(
    call: string,
    attempt: number,
    { instruction, ...made }: ToolOfCall & { readonly instruction: RunTool | undefined },
  ): Promise<AttemptEnd> {
    const { tool } = made;
    const progress = progressOf(this.desk, { call, attempt, lastHeartbeat: instruction?.lastHeartbeat });
    const mustClaim = instruction?.mustClaim ?? mustBeClaimed(tool.effect);
    // Whoever approved may have put other arguments in the place of those that the code gave.
    const use = { ...made, ...(instruction?.editedBy === undefined ? {} : { args: instruction.args }), progress };
    if (!mustClaim && tool.approval !== 'required') return this.unclaimed(call, attempt, use);
    return this.claimed(call, attempt, { ...use, grant: instruction?.grant });
  }

  onUndo(call: string, tool: Tool, args: unknown): Promise<unknown> {
    if (tool.pool !== undefined) return rejected(undoneElsewhere(tool.name));
    const plain = this.plainArguments(tool, args);
    if ('error' in plain) return rejected(plain.error);
    const argsHash = this.given.execution.host.digest.sha256(canonicalJson(plain.value));
    const text = entry.undoRegisteredEntry({ call, tool: tool.name, args: plain.text, argsHash });
    const begin = (): void => {
      this.desk.startStep();
      this.desk.finishStep(call, NOTHING, { text, recordedFirst: true });
    };
    return this.desk.make({ call, kind: 'undo', name: tool.name, hash: argsHash }, { begin });
  }

  /** As they are recorded; or why they cannot be. */
  private plainArguments(tool: Tool, args: unknown): Serialised | { readonly error: Error } {
    if (!this.given.tools.has(tool.name)) {
      const message = `The worker does not host the tool ${tool.name}: add it to the tools of the worker.`;
      return { error: new Terminal('UnknownTool', message) };
    }
    try {
      const parsed = tool.input.safeParse(args);
      if (!parsed.success) return { error: errorOf(invalidArguments(tool, parsed.error)) };
      return serialise(args, `The arguments of ${tool.name}`);
    } catch (error) {
      return { error: errorOf(recordOf(error, 'terminal')) };
    }
  }

  private async unclaimed(call: string, attempt: number, use: ToolOfAttempt): Promise<AttemptEnd> {
    const executionId = `${use.idempotencyKey}/${attempt}`;
    const ended = await runTool(this.given.execution, { ...use, attempt, executionId });
    const asks = asksOwner(use.tool, ended);
    const text = entry.effectResultEntry(call, attempt, { outcome: ended.text, asks });
    return { text, ended: asks ? undefined : unlessRepeated(ended, attempt, use.tool.retry) };
  }

  private async claimed(call: string, attempt: number, use: ToolOfAttempt & Pick<ClaimedToolUse, 'grant'>): Promise<AttemptEnd> {
    const used = await useClaimed(this.desk, { ...use, call, attempt });
    if (used.did === 'not-begin') return { text: used.text, ended: undefined, notBegun: true };
    const ended = used.did === 'end' && !used.asks ? unlessRepeated(used.ended, attempt, use.tool.retry) : undefined;
    return { text: used.text, ended };
  }

  model(call: string, model: Model, prompt: ModelPrompt): Promise<unknown> {
    const { execution, workflow } = this.given;
    const { instructions = '', tools = [], output } = prompt;
    const messages = 'prompt' in prompt ? [{ role: 'user' as const, text: prompt.prompt }] : prompt.messages;
    const promptHash = execution.host.digest.sha256(
      canonicalJson({ instructions, messages, tools: tools.map((tool) => tool.name) }),
    );
    return this.desk.make(
      { call, kind: 'model', name: model.id, hash: promptHash },
      {
        begin: () => this.desk.intend(call, entry.modelIntendedEntry(call, model.id, promptHash)),
        attempt: async (attempt) => {
          const tell = () => this.desk.tell(call, attempt);
          const prompted = { model, prompt: { instructions, messages, tools, output }, promptHash, tell };
          const ended = await callModel(execution, prompted);
          const text = entry.modelResultEntry(call, attempt, ended.text);
          return { text, ended: unlessRepeated(ended, attempt, workflow.modelRetry) };
        },
      },
    );
  }

  waitFor(call: string, signal: string, timeoutMs: number | undefined): Promise<unknown> {
    if (!isToken(signal)) return rejected(new Terminal('InvalidName', `A signal is named by ${TOKEN_FORM}; got "${signal}".`));
    if (timeoutMs !== undefined && !(timeoutMs <= TIMER_DELAY_MS_MAX))
      return rejected(
        new Terminal(
          'InvalidDelay',
          `A run cannot wait for ${timeoutMs} ms; at most ${TIMER_DELAY_MS_MAX}, or for ever without a limit.`,
        ),
      );
    const limitMs = timeoutMs === undefined ? undefined : Math.max(0, Math.ceil(timeoutMs));
    const begin = (): void => this.desk.intend(call, entry.signalAwaitedEntry(call, signal, limitMs));
    return this.desk.make({ call, kind: 'wait', name: signal }, { begin });
  }

  ask(call: string, terms: TaskTerms): Promise<unknown> {
    const { text } = serialise(terms, 'The question');
    const begin = (): void => this.desk.intend(call, entry.taskAskedEntry(call, text));
    return this.desk.make({ call, kind: 'wait', name: ASK_NAME }, { begin });
  }

  send(
    call: string,
    { to, name, payload }: { readonly to: string; readonly name: string; readonly payload: unknown },
  ): Promise<unknown> {
    if (!isToken(name) || !isToken(to))
      return rejected(
        new Terminal(
          'InvalidName',
          `A message, and the run that it is for, are named by ${TOKEN_FORM}; got "${name}" for "${to}".`,
        ),
      );
    try {
      const { text } = serialise(payload ?? null, 'The message');
      if (!fitsInto(SIGNAL_BYTES_MAX, text)) throw messageTooLarge();
      const sent = entry.messageSentEntry(call, { to, name, payload: text });
      return this.desk.make({ call, kind: 'message', name }, { begin: () => this.desk.intend(call, sent) });
    } catch (error) {
      return rejected(errorOf(recordOf(error, 'terminal')));
    }
  }

  child(
    call: string,
    name: string,
    { input, options }: { readonly input: unknown; readonly options: ChildOrder },
  ): Promise<unknown> {
    try {
      const { text } = serialise(input ?? null, `The input of ${name}`);
      const order = childRequestedEntry.parse({ type: 'child-requested', call, name, input: null, ...options });
      const { type: _type, call: _call, name: _name, input: _input, ...wanted } = order;
      const asked = entry.childRequestedEntry(call, name, { input: text, options: JSON.stringify(wanted) });
      return this.desk.make({ call, kind: 'child', name }, { begin: () => this.desk.intend(call, asked) });
    } catch (error) {
      return rejected(error instanceof PerdureError ? error : new Terminal('InvalidChild', invalidChild(name, error)));
    }
  }

  sleep(call: string, durationMs: number): Promise<unknown> {
    if (!Number.isFinite(durationMs) || durationMs > TIMER_DELAY_MS_MAX) {
      return rejected(new Terminal('InvalidDelay', `A run cannot sleep for ${durationMs} ms; at most ${TIMER_DELAY_MS_MAX}.`));
    }
    const delayMs = Math.max(0, Math.ceil(durationMs));
    const begin = (): void => this.desk.setTimer(call, delayMs, entry.timerSetEntry(call, delayMs));
    return this.desk.make({ call, kind: 'sleep', name: 'sleep' }, { begin });
  }

  until(call: string, dueAtMs: number): Promise<unknown> {
    const delayMs = Math.ceil(dueAtMs) - this.given.execution.host.clock.nowMs();
    if (!(delayMs <= TIMER_DELAY_MS_MAX))
      return rejected(
        new Terminal('InvalidDelay', `A run cannot sleep until ${dueAtMs}: give a date within the next ten years.`),
      );
    const dueEntry = entry.timerDueEntry(call, Math.max(0, Math.ceil(dueAtMs)));
    return this.desk.make({ call, kind: 'sleep', name: 'sleep' }, { begin: () => this.desk.setTimer(call, delayMs, dueEntry) });
  }
}

function messageTooLarge(): Terminal {
  return new Terminal(
    'PayloadTooLarge',
    `A message has at most ${SIGNAL_BYTES_MAX} bytes: store what is larger elsewhere, and refer to it.`,
  );
}

function invalidChild(name: string, error: unknown): string {
  return `The child ${JSON.stringify(name)} cannot be asked for like this: ${error instanceof Error ? error.message : String(error)}`;
}

/** Its step has begun, and does nothing meanwhile. */
const POLL = 'A pause of a poll';
const NOTHING = succeeded(null, 'Nothing');

/** The owner's rule, word for word: it alone sets the timer of the next attempt. */
function unlessRepeated(ended: Ended, attempt: number, policy: RetryPolicy): Ended | undefined {
  return !ended.ok && mayBeTriedAgain(ended.error, policy) && attempt < policy.attemptsMax ? undefined : ended;
}

/** Nobody may be listening: the code may not have awaited it. */
function rejected(error: Error): Promise<never> {
  const promise = Promise.reject(error);
  promise.catch(() => undefined);
  return promise;
}
