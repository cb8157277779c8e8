import {
  agent,
  Retryable,
  ruleModel,
  Terminal,
  tool,
  workflow,
  type Behaviour,
  type Message,
  type Tool,
  type WorkflowContext,
} from '@perdure/sdk';
import type { SimProcess } from '@perdure/testing';
import { z } from 'zod';
import type { OuterWorld, WorkDone } from './outer-world';
import {
  agentText,
  carried,
  CHILD_FAILED,
  childResult,
  isTool,
  stepResult,
  TIMED_OUT,
  toolResult,
  VERSION_MAX,
  type AgentPlan,
  type ClaimedToolName,
  type Operation,
  type Results,
  type ToolName,
  type WorkflowPlan,
} from './program';

/** What user code runs in: it knows its process only through what that process can do. */
export interface Workplace {
  readonly process: SimProcess;
  readonly world: OuterWorld;
  epochOf(runId: string): number | undefined;
}

/** Whose workers execute the pooled tools. */
export const TOOL_POOL = 'payments';
const planInput = z.object({ label: z.string() }).loose();
const useInput = z.object({ runId: z.string(), id: z.string(), value: z.number(), fails: z.number(), ms: z.number() });
const RETRY = { attemptsMax: 5, initialDelayMs: 40, factor: 2, delayMaxMs: 500 };

export function behavioursFor(place: Workplace): { readonly behaviours: readonly Behaviour[]; readonly tools: readonly Tool[] } {
  const tools = {
    charge: toolOf(place, 'charge', 'idempotent'),
    lookup: toolOf(place, 'lookup', 'pure'),
    transfer: claimedToolOf(place, 'transfer'),
    wire: claimedToolOf(place, 'wire'),
    ...pooledTools(place),
  };
  const performer = workflow({ name: 'perform', input: planInput }, (ctx, input) =>
    perform({ place, tools, ctx }, (input as unknown as WorkflowPlan).operations),
  );
  const leaf = workflow(
    { name: 'leaf', input: z.object({ value: z.number(), throws: z.boolean(), ms: z.number() }) },
    (ctx, { value, throws, ms }) =>
      ctx.step('leaf', async () => {
        await pause(place, ms);
        if (throws) throw new Terminal('AsPlanned', 'as planned');
        return childResult(value);
      }),
  );
  const decider = agent({
    name: 'decide',
    input: planInput,
    instructions: 'Use the tools of the plan, turn by turn.',
    tools: Object.values(tools),
    model: modelOf(place),
    retry: RETRY,
  });
  return {
    behaviours: [performer, leaf, decider] as unknown as readonly Behaviour[],
    tools: Object.values(tools) as unknown as readonly Tool[],
  };
}

/** Of a pool of their own: whoever holds the run only names them. */
export function pooledTools(place: Workplace) {
  return {
    settle: toolOf(place, 'settle', 'idempotent'),
    remit: claimedToolOf(place, 'remit'),
    pledge: claimedToolOf(place, 'pledge'),
  };
}

type Tools = { readonly [N in ToolName]: ReturnType<typeof toolOf> };

function toolOf(place: Workplace, name: ToolName, effect: 'idempotent' | 'pure') {
  return tool({
    name,
    description: name,
    input: useInput,
    effect,
    pool: poolOf(name),
    timeoutMs: timeoutOf(name),
    retry: RETRY,
    ...(name === 'charge' ? { ...IMPATIENT, ...undoable(place) } : {}),
    execute: async ({ runId, id, value, fails, ms }, { idempotencyKey, attempt, heartbeat, lastHeartbeat }) => {
      begin(place, { kind: 'tool', runId, name: id });
      const last = lastHeartbeat as { readonly id: string; readonly attempt: number } | undefined;
      if (last !== undefined && (last.id !== id || last.attempt > attempt))
        throw new Terminal('OthersHeartbeat', `${id}, attempt ${attempt}, was given ${JSON.stringify(last)}`);
      heartbeat({ id, attempt });
      await pause(place, ms);
      if (attempt <= fails) throw new Retryable('NotNow', `${name} fails at attempt ${attempt}`);
      return place.world.effect(place.process, { runId, id, key: idempotencyKey, result: toolResult(name, value) });
    },
  });
}

const CAN_BE_ASKED: ReadonlySet<ToolName> = new Set(['transfer', 'remit']);

function poolOf(name: ToolName): string | undefined {
  return name === 'settle' || name === 'remit' || name === 'pledge' ? TOOL_POOL : undefined;
}

/** It fails once in each process, and takes its time. */
function undoable(place: Workplace) {
  const failed = new Set<string>();
  return {
    compensation: { retry: { ...RETRY, attemptsMax: 1_000 } },
    compensate: async ({ ms }: { ms: number }, _: unknown, { idempotencyKey }: { idempotencyKey: string }) => {
      await pause(place, ms);
      place.world.undo(place.process, idempotencyKey);
      if (failed.has(idempotencyKey)) return;
      failed.add(idempotencyKey);
      throw new Retryable('NotNow', 'it cannot be undone yet');
    },
  };
}

/** Fewer attempts than some uses need, and little time for them: an operator has what is exhausted tried again. */
const IMPATIENT = {
  retry: { ...RETRY, attemptsMax: 2 },
  timeouts: { totalMs: 1_500, scheduleToStartMs: 700 },
  onExhausted: 'dead-letter',
} as const;

/** Longer than any work that is drawn. */
function timeoutOf(name: ToolName): number {
  return poolOf(name) === undefined ? 400 : 2_000;
}

/** What is asked for is done at once, and perhaps not answered. */
function claimedToolOf(place: Workplace, name: ClaimedToolName | 'remit' | 'pledge') {
  const { process, world } = place;
  const probe = (_: unknown, { executionId }: { readonly executionId: string }) => {
    const move = world.moves.get(executionId);
    return move === undefined ? { happened: false as const } : { happened: true as const, result: move.result };
  };
  return tool({
    name,
    description: name,
    input: useInput,
    effect: CAN_BE_ASKED.has(name) ? 'probeable' : 'irreversible',
    pool: poolOf(name),
    timeoutMs: timeoutOf(name),
    execute: async ({ runId, id, value, fails, ms }, { executionId, attempt, heartbeat }) => {
      begin(place, { kind: 'tool', runId, name: id });
      heartbeat({ id, attempt });
      const result = toolResult(name, value);
      world.move(process, { execution: executionId, use: `${runId}/${id}`, result });
      await pause(place, ms);
      if (attempt <= fails) throw new Error('the destination says nothing');
      return result;
    },
    ...(CAN_BE_ASKED.has(name) ? { probe } : {}),
    ...(name === 'transfer' ? undoable(place) : {}),
  });
}

interface Performance {
  readonly place: Workplace;
  readonly tools: Tools;
  readonly ctx: WorkflowContext;
}

async function perform(performance: Performance, operations: readonly Operation[]): Promise<Results> {
  const { place, tools, ctx } = performance;
  const results: (number | readonly Results[])[] = [];
  for (const operation of operations) {
    const offset = carried(results);
    switch (operation.do) {
      case 'step':
        results.push(await step(performance, operation, offset));
        break;
      case 'tool': {
        const { id, value, fails, ms } = operation;
        results.push(await ctx.tool(tools[operation.tool], { runId: ctx.runId, id, value: value + offset, fails, ms }));
        break;
      }
      case 'sleep':
        await ctx.sleep(operation.ms);
        results.push(0);
        break;
      case 'wait':
        results.push(await wait(ctx, operation));
        break;
      case 'child':
        results.push(await child(ctx, operation, offset));
        break;
      case 'values':
        results.push(ctx.now() > 0 && ctx.random() < 1 && ctx.uuid().length === 36 ? 0 : 1);
        break;
      case 'version':
        results.push(ctx.version(operation.id, { min: 0, max: VERSION_MAX }));
        break;
      case 'all':
        results.push(
          await ctx.all(
            operation.branches.map((branch) => (scope: WorkflowContext) => perform({ place, tools, ctx: scope }, branch)),
          ),
        );
    }
  }
  return results;
}

async function child(
  ctx: WorkflowContext,
  { value, throws, ms }: Extract<Operation, { do: 'child' }>,
  offset: number,
): Promise<number> {
  try {
    return (await ctx.child('leaf', { value: value + offset, throws, ms })) as number;
  } catch (error) {
    if (throws && error instanceof Error && error.name === 'AsPlanned') return CHILD_FAILED;
    throw error;
  }
}

async function wait(ctx: WorkflowContext, { signal, limitMs }: Extract<Operation, { do: 'wait' }>): Promise<number> {
  const schema = z.number();
  if (limitMs === undefined) return ctx.waitFor(signal, { schema });
  const waited = await ctx.waitFor(signal, { schema, timeoutMs: limitMs });
  return waited.timedOut ? TIMED_OUT : waited.payload;
}

async function step({ place, ctx }: Performance, operation: Extract<Operation, { do: 'step' }>, offset: number): Promise<number> {
  const { name, pure, throws, value, ms } = operation;
  try {
    return await ctx.step(
      name,
      async () => {
        begin(place, { kind: pure ? 'pure-step' : 'step', runId: ctx.runId, name });
        await pause(place, ms);
        if (throws) throw new RangeError('as planned');
        return stepResult(value + offset);
      },
      { pure },
    );
  } catch (error) {
    if (throws && error instanceof Error && error.message === 'as planned') return -1;
    throw error;
  }
}

function modelOf(place: Workplace) {
  return ruleModel('rule-of-plan', async ({ messages }) => {
    const { turns, label } = planOf(messages);
    const turn = messages.filter(({ role }) => role === 'assistant').length;
    begin(place, { kind: 'model', runId: label, name: `turn-${turn + 1}` });
    await pause(place, turn);
    const uses = turns[turn];
    if (uses === undefined) return agentText(messages.flatMap((message) => (message.role === 'tool' ? [valueOf(message)] : [])));
    return {
      toolCalls: uses.map(({ tool: name, ...use }) => ({ tool: name, args: isTool(name) ? { runId: label, ...use } : {} })),
    };
  });
}

function planOf(messages: readonly Message[]): AgentPlan {
  const [first] = messages;
  return JSON.parse(first?.role === 'user' ? first.text : '{}') as AgentPlan;
}

function valueOf({ outcome }: Extract<Message, { role: 'tool' }>): number | undefined {
  return outcome.ok ? (outcome.value as number) : undefined;
}

function begin(place: Workplace, work: Pick<WorkDone, 'kind' | 'runId' | 'name'>): void {
  place.world.begin(place.process, { ...work, epoch: place.epochOf(work.runId) });
}

function pause({ process }: Workplace, ms: number): Promise<void> {
  return ms === 0 ? Promise.resolve() : new Promise((resolve) => void process.timers.after(ms, resolve));
}
