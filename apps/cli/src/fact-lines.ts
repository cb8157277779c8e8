import { controlLine } from './control-lines';
import { approvalLine } from './approval-lines';
import type { Fact } from './gateway-client';
import { clip, columns, dollars, duration, pc } from './paint';

interface ToolCall {
  readonly tool: string;
}
type Data = Readonly<Record<string, unknown>>;

/** Sign, colour, what is said, and what is said in passing. */
type Told = readonly [string, (text: string) => string, string, string?];

/** Where the text of a fact begins: after time, revision and sign. */
const INDENT = 24;

const text = (value: unknown): string => (typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value));

function counted(calls: readonly ToolCall[]): string {
  const counts = new Map<string, number>();
  for (const { tool } of calls) counts.set(tool, (counts.get(tool) ?? 0) + 1);
  return [...counts].map(([tool, count]) => (count === 1 ? tool : `${tool} × ${count}`)).join(', ');
}

/** Tells the facts of one run to a person, one line each, in the order in which they come. */
export class FactLines {
  private startedAtMs: number | undefined;
  private readonly tools = new Map<string, { readonly tool: string; readonly args: string; readonly atMs: number }>();

  line(fact: Fact): string {
    this.startedAtMs ??= fact.atMs;
    const seconds = ((fact.atMs - this.startedAtMs) / 1_000).toFixed(2).padStart(7);
    const [sign, paint, said, aside = ''] = this.tell(fact);
    const revision = `#${fact.revision}`.padStart(5);
    const room = columns() - INDENT - (aside === '' ? 0 : aside.length + 1);
    return `${pc.dim(`${seconds} s`)} ${pc.dim(revision)}  ${paint(sign)} ${paint(clip(said, room))}${aside === '' ? '' : pc.dim(` ${aside}`)}`;
  }

  private tell({ type, data, atMs }: Fact): Told {
    const plain = (value: string): string => value;
    switch (type) {
      case 'RunRequested':
        return ['▸', pc.bold, `${text(data.kind)} ${text(data.name)} requested`];
      case 'RunAssigned':
        return ['●', pc.cyan, `assigned to ${text(data.workerId)} (epoch ${text(data.epoch)})`];
      case 'ActivationLost':
        return ['!', pc.red, `activation ${text(data.epoch)} lost: ${text(data.reason)}`];
      case 'RunQuarantined':
        return ['‖', pc.magenta, `quarantined after ${text(data.activationsLost)} lost activations`];
      case 'RunSuspended':
        return ['◌', pc.blue, 'suspended: waits, holding no worker'];
      case 'RunWoken':
        return ['○', pc.yellow, 'woken: what it waited for has happened'];
      case 'RunPauseRequested':
        return ['‖', pc.yellow, `pause requested: ${text(data.reason)}`];
      case 'RunPaused':
        return ['‖', pc.magenta, `paused: ${text(data.reason)}`];
      case 'RunResumed':
        return ['▸', pc.bold, `resumed: ${text(data.reason)}`];
      case 'RunRepinned':
        return ['⇄', pc.yellow, `pinned to build ${text(data.buildId)}: ${text(data.reason)}`];
      case 'RunCancelRequested':
        return ['⊘', pc.yellow, `cancel requested: ${text(data.reason)}`];
      case 'CodeDiverged':
        return ['‖', pc.magenta, `code diverged: ${text(data.divergence)}`];
      case 'ModelCallIntended':
        return ['·', pc.dim, asks(data)];
      case 'ModelCallCompleted':
        return ['◆', pc.magenta, decided(data)];
      case 'ModelCallFailed':
        return ['✗', pc.red, `model call ${text(data.call)} failed: ${errorOf(data)}`];
      case 'StepsRecorded':
        return ['·', pc.dim, recordedIn(data)];
      case 'EffectIntended':
        return this.intended(data, atMs);
      case 'EffectConfirmed':
        return this.confirmed(data, atMs);
      case 'EffectFailed':
        return ['✗', pc.red, `${this.nameOf(data)} failed, attempt ${text(data.attempt)}: ${errorOf(data)}`];
      case 'TimerSet':
        return ['◷', pc.dim, `timer ${text(data.timerId)} (${text(data.purpose)}) set`];
      case 'TimerFired':
        return ['◷', pc.blue, `timer ${text(data.timerId)} fired`];
      case 'TimerCancelled':
        return ['◷', pc.dim, `timer ${text(data.timerId)} cancelled`];
      case 'RunCompleted':
        return ['✓', pc.green, `completed: ${text(data.output)}`];
      case 'RunFailed':
        return ['✗', pc.red, `failed: ${errorOf(data)}`];
      case 'RunCancelled':
        return ['⊘', pc.gray, `cancelled: ${text(data.reason)}`];
      case 'RunTerminated':
        return ['⊗', pc.red, `terminated: ${text(data.reason)}`];
      case 'RunTimedOut':
        return ['✗', pc.red, 'timed out'];
      case 'RunRefused':
        return ['✗', pc.red, `refused: ${text(data.message)}`];
      default:
        return (
          this.ofLedger(type, data) ??
          controlLine(type, data) ??
          ofGuard(type, data) ??
          ofChild(type, data) ??
          this.ofApproval(type, data) ?? ['·', plain, type]
        );
    }
  }

  /** Effects that must not be doubled, between their intention and their end. */
  private ofLedger(type: string, data: Data): Told | undefined {
    switch (type) {
      case 'EffectDispatched':
        return ['⇢', pc.dim, `${this.nameOf(data)} may begin${executorIn(data)}, attempt ${text(data.attempt)}`];
      case 'EffectLost':
        return ['!', pc.red, `${this.nameOf(data)}: ${text(data.workerId)}, which executed it, was lost; it is due again`];
      case 'EffectNotStarted':
        return ['⇠', pc.yellow, `${this.nameOf(data)} was not begun: ${text(data.reason)}`];
      case 'EffectProgressed':
        return ['·', pc.dim, `${this.nameOf(data)} goes on: ${text(data.detail)}`];
      case 'EffectUnknown':
        return ['?', pc.red, `${this.nameOf(data)}: nobody knows whether it happened (${text(data.because)})`];
      case 'EffectProbed':
        return ['?', pc.yellow, `${this.nameOf(data)}: probe ${text(data.probe)} did not find out: ${errorOf(data)}`];
      case 'EffectQuestioned':
        return ['?', pc.magenta, `${this.nameOf(data)}: a person is asked: ${text(data.why)}`];
      case 'EffectReconciled':
        return ['!', pc.green, `${this.nameOf(data)}: ${text(data.verdict)}, says ${text(data.by)}`];
      case 'EffectDeadLettered':
        return [
          '✉',
          pc.red,
          `${this.nameOf(data)} is exhausted (${text(data.because)}) and waits for a person: ${errorOf(data)}`,
        ];
      case 'EffectRedriven':
        return ['↻', pc.green, `${this.nameOf(data)} is tried again, says ${text(data.by)}`];
      case 'EffectGivenUp':
        return ['✗', pc.yellow, `${this.nameOf(data)} is given up, says ${text(data.by)}`];
      case 'UndoRegistered':
        return ['↶', pc.dim, `registered to undo: ${text(data.tool)} ${shortArgs(data.args)}`];
      case 'RunEnding':
        return ['↶', pc.yellow, `ends as ${text((data.outcome as Data).status)}: ${text(data.toUndo)} effects are to be undone`];
      case 'EffectCompensated':
        return ['↶', pc.green, `undone: ${text(data.tool)} ${text(data.call)}`];
      case 'EffectNotCompensated':
        return ['✗', pc.red, `not undone: ${text(data.tool)} ${text(data.call)}: ${text(data.why)}`];
      default:
        return undefined;
    }
  }

  /** From the grant on the arguments are those of the persons. */
  private ofApproval(type: string, data: Data): Told | undefined {
    const line = approvalLine(type, data, this.nameOf(data));
    const known = this.tools.get(text(data.call));
    if (type === 'ApprovalGranted' && 'args' in data && known !== undefined)
      this.tools.set(text(data.call), { ...known, args: shortArgs(data.args) });
    return line;
  }

  private intended(data: Data, atMs: number): Told {
    const args = shortArgs(data.args);
    this.tools.set(text(data.call), { tool: text(data.tool), args, atMs });
    return ['→', pc.dim, `${data.undoes === undefined ? '' : `undo ${text(data.undoes)}: `}${text(data.tool)} ${args}`];
  }

  private confirmed(data: Data, atMs: number): Told {
    const began = this.tools.get(text(data.call));
    return ['✓', pc.green, this.nameOf(data), began === undefined ? '' : duration(atMs - began.atMs)];
  }

  private nameOf(data: Data): string {
    const known = this.tools.get(text(data.call));
    return known === undefined ? `effect ${text(data.call)}` : `${known.tool} ${known.args}`;
  }
}

/** Who executes it, where that is not who holds the run. */
function executorIn(data: Data): string {
  const executor = data.executor as { readonly pool?: string; readonly workerId?: string } | undefined;
  return executor === undefined ? '' : ` at ${text(executor.workerId)} of pool ${text(executor.pool)}`;
}

function asks(data: Data): string {
  const shown = ((data.signals ?? []) as readonly unknown[]).length;
  const told = shown === 0 ? '' : `, which is shown ${shown === 1 ? 'a signal' : `${shown} signals`}`;
  return `asks the model${data.turn === undefined ? '' : `, turn ${text(data.turn)}`}${told}`;
}

function ofChild(type: string, data: Data): Told | undefined {
  const aside = text(data.child);
  switch (type) {
    case 'ChildRequested':
      return [
        '⎇',
        pc.dim,
        `child ${text(data.name)} ${shortArgs(data.input)}${data.detached === true ? ', detached' : ''}`,
        aside,
      ];
    case 'MessageSent':
      return ['✉', pc.dim, `message ${text(data.name)} to ${text(data.to)}`];
    case 'MessageDelivered':
      return ['✉', pc.green, `message ${text(data.call)} delivered`];
    case 'MessageRefused':
      return ['✉', pc.red, `message ${text(data.call)} refused: ${errorOf(data)}`];
    case 'ChildStarted':
      return ['⎇', pc.green, 'child started', aside];
    case 'ChildEnded': {
      const { ok, error } = data.outcome as { readonly ok: boolean; readonly error?: unknown };
      return ok ? ['⎇', pc.green, 'child completed', aside] : ['⎇', pc.red, `child failed: ${errorOf({ error })}`, aside];
    }
    default:
      return undefined;
  }
}

/** What stands between the turns of a run. */
function ofGuard(type: string, data: Data): Told | undefined {
  switch (type) {
    case 'LimitReached': {
      const [used, max] = [Number(data.used), Number(data.max)];
      const of = data.limit === 'cost' ? `${dollars(used)} of ${dollars(max)} USD` : `${used} of ${max} ${text(data.limit)}`;
      return ['‖', pc.magenta, `limit reached: ${of}`];
    }
    case 'LoopSuspected': {
      const times = text(data.times);
      const circle =
        data.because === 'repetition' ? `${text(data.tool)} gave the same ${times} times` : `nothing new in ${times} turns`;
      const then = { nudge: 'the model is told', pause: 'a person is asked', end: 'the run ends' }[text(data.action)];
      return ['↻', pc.yellow, `goes in circles: ${circle}`, then ?? ''];
    }
    default:
      return undefined;
  }
}

function decided(data: Data): string {
  const decision = (data.decision ?? {}) as { readonly text?: string; readonly toolCalls?: readonly ToolCall[] };
  const calls = decision.toolCalls ?? [];
  return calls.length > 0 ? `model decides: ${counted(calls)}` : `model says: ${decision.text ?? ''}`;
}

/** Names of what the code was given: steps, and values that it asked for. */
function recordedIn(data: Data): string {
  const entries = (data.entries ?? []) as readonly { readonly type: string; readonly name?: string }[];
  const names = entries.flatMap(({ type, name }) => (name === undefined ? [] : [type === 'step' ? `step ${name}` : name]));
  return names.length === 0 ? 'delivered what it waited for' : `recorded ${names.join(', ')}`;
}

function errorOf(data: Data): string {
  const error = (data.error ?? {}) as { readonly code?: string; readonly message?: string };
  return `${error.code ?? 'error'}: ${error.message ?? ''}`;
}

/** Arguments that say by themselves what a call is about. */
const TELLING = ['part', 'path', 'file', 'url', 'query', 'name', 'title', 'id'];

function shortArgs(args: unknown): string {
  if (args === null || typeof args !== 'object') return text(args);
  const fields = args as Readonly<Record<string, unknown>>;
  const telling = TELLING.find((field) => typeof fields[field] === 'string');
  return clip(telling === undefined ? JSON.stringify(args) : text(fields[telling]), 60);
}
