import type { SeededRandom } from '@perdure/testing';

/** What a run does, as data: the input of one workflow or agent that carries it out, and of the model that predicts it. */
export type Operation =
  | {
      readonly do: 'step';
      readonly name: string;
      readonly pure: boolean;
      readonly throws: boolean;
      readonly value: number;
      readonly ms: number;
    }
  | {
      readonly do: 'tool';
      readonly tool: ToolName;
      readonly id: string;
      readonly value: number;
      readonly fails: number;
      readonly ms: number;
    }
  | { readonly do: 'sleep'; readonly ms: number }
  /** `limitMs` with a value: far away; without one: nobody sends the signal, and the wait times out. */
  | { readonly do: 'wait'; readonly signal: string; readonly value: number | undefined; readonly limitMs: number | undefined }
  /** A run of its own. */
  | { readonly do: 'child'; readonly value: number; readonly throws: boolean; readonly ms: number }
  | { readonly do: 'values' }
  /** Asks which way a change goes: the code has had it from the beginning. */
  | { readonly do: 'version'; readonly id: string }
  | { readonly do: 'all'; readonly branches: readonly (readonly Operation[])[] };

export type ToolName = 'charge' | 'lookup' | ClaimedToolName | PooledToolName;
/** Effects that must not be doubled: the destination of a transfer can be asked, that of a wire cannot. */
export type ClaimedToolName = 'transfer' | 'wire';
/** Effects that workers of another pool execute, whoever holds the run: of each class. */
export type PooledToolName = 'settle' | 'remit' | 'pledge';
export type ToolUse = Omit<Extract<Operation, { do: 'tool' }>, 'do' | 'tool'> & { readonly tool: string };

export interface WorkflowPlan {
  readonly kind: 'workflow';
  readonly label: string;
  readonly operations: readonly Operation[];
}

export interface AgentPlan {
  readonly kind: 'agent';
  readonly label: string;
  readonly turns: readonly (readonly ToolUse[])[];
}

export type Plan = WorkflowPlan | AgentPlan;

const OPERATIONS = [2, 8] as const;
const TURNS = [1, 4] as const;
const WORK_MS_MAX = 120;
const POOLED_WORK_MS_MAX = 1_800;
const SLEEP_MS_MAX = 2_500;
/** Operations that a version is asked for before. */
const VERSION_SHARE = 0.15;
/** What a run whose code has always asked for it is told. */
export const VERSION_MAX = 3;
/** Longer than a story. */
const FAR_MS = 600_000;
export const TIMED_OUT = -2;
/** Fewer than the attempts that the tools declare. */
export const FAILS_MAX = 2;

/** Of the uses of tools. */
export interface ToolShares {
  readonly claimed: number;
  readonly pooled: number;
}

class Drawer {
  private made = 0;
  /** Drawn apart: what else a seed draws stays what it was. */
  private readonly claims: SeededRandom;
  private readonly pools: SeededRandom;
  private readonly versions: SeededRandom;
  private readonly waits: SeededRandom;
  private readonly children: SeededRandom;

  constructor(
    private readonly random: SeededRandom,
    private readonly shares: Shares,
  ) {
    this.claims = random.split('claims');
    this.waits = random.split('waits');
    this.children = random.split('children');
    this.pools = random.split('pools');
    this.versions = random.split('versions');
  }

  operations(depth: number): Operation[] {
    const count = depth === 0 ? this.random.integer(...OPERATIONS) : this.random.integer(1, 3);
    return Array.from({ length: count }, () => this.operation(depth)).flatMap((operation) =>
      this.versions.chance(VERSION_SHARE) ? [{ do: 'version' as const, id: this.change() }, operation] : [operation],
    );
  }

  tool(): Extract<Operation, { do: 'tool' }> {
    const { random } = this;
    const fails = random.chance(0.25) ? random.integer(1, FAILS_MAX) : 0;
    const repeatable = random.chance(0.7) ? 'charge' : 'lookup';
    const pooled = this.pooled();
    const tool = pooled ?? this.claimed() ?? repeatable;
    const use = { id: this.name('use'), value: random.integer(1, 99), fails, ms: this.workMs() };
    // Long enough for whoever holds the run to let go of it, and for whoever executes it to die.
    return { do: 'tool', tool, ...use, ...(pooled === undefined ? {} : { ms: this.pools.integer(0, POOLED_WORK_MS_MAX) }) };
  }

  private operation(depth: number): Operation {
    const { random } = this;
    if (this.waits.chance(this.shares.waits)) return this.wait();
    if (this.children.chance(this.shares.children)) return this.child();
    const kind = random.fraction();
    if (kind < 0.4) {
      return {
        do: 'step',
        name: this.name('step'),
        pure: random.chance(0.5),
        throws: random.chance(0.1),
        value: random.integer(1, 99),
        ms: this.workMs(),
      };
    }
    if (kind < 0.65) return this.tool();
    if (kind < 0.8) return { do: 'sleep', ms: random.integer(0, random.chance(0.5) ? 50 : SLEEP_MS_MAX) };
    if (kind < 0.85 || depth >= 2) return { do: 'values' };
    return { do: 'all', branches: Array.from({ length: random.integer(2, 3) }, () => this.operations(depth + 1)) };
  }

  private wait(): Extract<Operation, { do: 'wait' }> {
    const { waits } = this;
    const signal = this.name('signal');
    if (waits.chance(0.3)) return { do: 'wait', signal, value: undefined, limitMs: waits.integer(0, SLEEP_MS_MAX) };
    return { do: 'wait', signal, value: waits.integer(1, 99), limitMs: waits.chance(0.4) ? FAR_MS : undefined };
  }

  private child(): Extract<Operation, { do: 'child' }> {
    const { children } = this;
    return { do: 'child', value: children.integer(1, 99), throws: children.chance(0.15), ms: children.integer(0, WORK_MS_MAX) };
  }

  private claimed(): ClaimedToolName | undefined {
    if (!this.claims.chance(this.shares.claimed)) return undefined;
    return this.claims.chance(0.6) ? 'transfer' : 'wire';
  }

  private pooled(): PooledToolName | undefined {
    if (!this.pools.chance(this.shares.pooled)) return undefined;
    return this.pools.pick(['settle', 'remit', 'remit', 'pledge']);
  }

  private change(): string {
    return `change-${this.versions.integer(1, 4)}`;
  }

  private workMs(): number {
    return this.random.chance(0.5) ? 0 : this.random.integer(1, WORK_MS_MAX);
  }

  private name(what: string): string {
    this.made += 1;
    return `${what}-${this.made}`;
  }
}

/** How much of a plan is of a kind that not every story has. */
/** Of the uses of tools: of one that does not exist. */
const NOTHING_SHARE = 0.1;
/** Of the agents: those whose model asks for nothing that exists. */
const MISGUIDED_SHARE = 0.1;

export interface Shares extends ToolShares {
  /** Waits for signals, of the operations. */
  readonly waits: number;
  /** Runs that are started, of the operations. */
  readonly children: number;
}

export function drawPlan(label: string, random: SeededRandom, shares: Shares): Plan {
  const drawer = new Drawer(random, shares);
  if (random.chance(0.65)) return { kind: 'workflow', label, operations: drawer.operations(0) };
  const misguided = random.split('misguided').chance(MISGUIDED_SHARE) ? 1 : NOTHING_SHARE;
  const turns = Array.from({ length: random.integer(...TURNS) }, () =>
    Array.from({ length: random.integer(1, 3) }, () => {
      const { tool, id, value, fails, ms } = drawer.tool();
      return { tool: random.chance(misguided) ? 'nothing' : tool, id, value, fails, ms };
    }),
  );
  return { kind: 'agent', label, turns };
}

export type Results = readonly (number | readonly Results[])[];

export const CHILD_FAILED = -3;

export function childResult(value: number): number {
  return value * 5 + 2;
}

export function stepResult(value: number): number {
  return value * 3 + 1;
}

const OFFSETS: Readonly<Record<ToolName, number>> = {
  charge: 1_000,
  lookup: 2_000,
  transfer: 3_000,
  wire: 4_000,
  settle: 5_000,
  remit: 6_000,
  pledge: 7_000,
};

export function toolResult(tool: ToolName, value: number): number {
  return value + OFFSETS[tool];
}

/** What came before enters what comes after: a result that is replayed wrongly shows at the end. */
export function carried(results: Results): number {
  const last = results.at(-1);
  return typeof last === 'number' ? Math.abs(last) % 7 : results.length;
}

/** The model: what the run must come to, from its plan alone. */
export function expectedOutput(plan: Plan): unknown {
  return plan.kind === 'workflow' ? expectedResults(plan.operations) : expectedText(plan);
}

function expectedResults(operations: readonly Operation[]): Results {
  const results: (number | readonly Results[])[] = [];
  for (const operation of operations) {
    const offset = carried(results);
    switch (operation.do) {
      case 'step':
        results.push(operation.throws ? -1 : stepResult(operation.value + offset));
        break;
      case 'tool':
        results.push(toolResult(operation.tool, operation.value + offset));
        break;
      case 'child':
        results.push(operation.throws ? CHILD_FAILED : childResult(operation.value + offset));
        break;
      case 'version':
        results.push(VERSION_MAX);
        break;
      case 'sleep':
      case 'values':
        results.push(0);
        break;
      case 'wait':
        results.push(operation.value ?? TIMED_OUT);
        break;
      case 'all':
        results.push(operation.branches.map(expectedResults));
    }
  }
  return results;
}

function expectedText({ turns }: AgentPlan): string {
  const uses = turns.flat();
  return agentText(uses.map(({ tool, value }) => (isTool(tool) ? toolResult(tool, value) : undefined)));
}

/** Turns in a row in which a model may ask for nothing that exists. */
const MISGUIDED_TURNS_MAX = 3;

/** Whether its model asks for so little that exists that the run fails with it. */
export function isMisguided(plan: Plan): boolean {
  if (plan.kind !== 'agent') return false;
  let inARow = 0;
  return plan.turns.some((uses) => {
    inARow = uses.some(({ tool }) => isTool(tool)) ? 0 : inARow + 1;
    return inARow >= MISGUIDED_TURNS_MAX;
  });
}

export function agentText(results: readonly (number | undefined)[]): string {
  const sum = results.reduce<number>((total, result) => total + (result ?? -1), 0);
  return `${results.length} uses, sum ${sum}`;
}

export function isTool(name: string): name is ToolName {
  return Object.hasOwn(OFFSETS, name);
}

/** What its code will wait for, and what it is to be sent. */
export function signalsOf(plan: Plan): readonly { readonly name: string; readonly payload: number }[] {
  const within = (operations: readonly Operation[]): { readonly name: string; readonly payload: number }[] =>
    operations.flatMap((operation) => {
      if (operation.do === 'all') return operation.branches.flatMap(within);
      return operation.do === 'wait' && operation.value !== undefined
        ? [{ name: operation.signal, payload: operation.value }]
        : [];
    });
  return plan.kind === 'workflow' ? within(plan.operations) : [];
}

/** Uses of declared tools, by id: each must have one idempotency key, and its effect once. */
export function toolUsesOf(plan: Plan): readonly string[] {
  if (plan.kind === 'agent') return plan.turns.flat().flatMap(({ tool, id }) => (isTool(tool) ? [id] : []));
  const within = (operations: readonly Operation[]): string[] =>
    operations.flatMap((operation) =>
      operation.do === 'tool' ? [operation.id] : operation.do === 'all' ? operation.branches.flatMap(within) : [],
    );
  return within(plan.operations);
}
