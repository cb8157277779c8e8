import { canonicalJson, Terminal } from '@perdure/kernel';
import type { Activate, InboundFact, Instruction, JournalItem, ModelDecision, Outcome } from '@perdure/run-contract';
import { Activation, type ActivationHome } from './activation';
import { SUSPEND_AFTER_MS } from './bounds';
import type { Agent, Message, Tool } from './definitions';
import { effectResultEntry, failedEntry, modelResultEntry } from './entries';
import { callModel, effectUnknown, mayRunAgain, runTool } from './execution';
import { recordOf, type Ended } from './outcome';

type CallModel = Extract<Instruction, { do: 'call-model' }>;
type RunTool = Extract<Instruction, { do: 'run-tool' }>;

interface Turn {
  readonly call: string;
  readonly decision: ModelDecision;
  readonly outcomes: Map<string, Outcome>;
}

/**
 * Does what the owner of the run instructs: it calls the model and runs tools. What comes next is decided
 * there, from the log; here is only the conversation so far.
 */
export class AgentActivation extends Activation {
  private readonly agent: Agent;
  private readonly tools: ReadonlyMap<string, Tool>;
  private readonly turns: Turn[] = [];
  private readonly messages: Message[] = [];
  /** Turns that `messages` and `digest` contain already. */
  private turnsWritten = 0;
  private digest = '';
  private instructions = '';
  private ready = false;
  private early: Instruction[] = [];
  /** Attempts begun in the present turn, by call: an instruction is repeated until its end is reported. */
  private readonly begun = new Map<string, number>();
  /** Tool calls that an earlier activation may have begun. */
  private readonly uncertain = new Set<string>();

  constructor(
    home: ActivationHome,
    order: Activate,
    offer: { readonly agent: Agent; readonly tools: ReadonlyMap<string, Tool> },
  ) {
    super(home, order);
    this.agent = offer.agent;
    this.tools = offer.tools;
  }

  protected begin(journal: readonly JournalItem[]): void {
    void this.prepare(journal);
  }

  private async prepare(journal: readonly JournalItem[]): Promise<void> {
    try {
      const input = await this.agent.input.parseAsync(this.order.input);
      this.instructions = this.agent.instructionsFor(input);
      this.write({ role: 'user', text: this.agent.promptFor(input) });
    } catch (error) {
      const message = `The input does not fit ${this.agent.name}: ${error instanceof Error ? error.message : String(error)}`;
      this.end(failedEntry(JSON.stringify(recordOf(new Terminal('InvalidInput', message), 'terminal'))));
      return;
    }
    if (!this.isActive) return;
    for (const item of journal) this.remember(item);
    for (const instruction of this.order.instructions) if (instruction.do === 'run-tool') this.uncertain.add(instruction.call);
    this.ready = true;
    this.takeInstructions(this.early);
    this.receive(this.order);
  }

  private remember(item: JournalItem): void {
    if (item.type === 'decided') this.turns.push({ call: item.call, decision: item.decision, outcomes: new Map() });
    if (item.type === 'tool-result') this.rememberOutcome(item.call, item.outcome);
  }

  private rememberOutcome(call: string, outcome: Outcome): void {
    const turn = this.turns.at(-1);
    if (turn !== undefined && call.startsWith(`${turn.call}.`)) turn.outcomes.set(call, outcome);
  }

  protected takeInbound(facts: readonly InboundFact[]): void {
    for (const { call, outcome } of facts) this.rememberOutcome(call, outcome);
  }

  protected takeInstructions(instructions: readonly Instruction[]): void {
    if (!this.ready) {
      this.early.push(...instructions);
      return;
    }
    if (this.cancelled) return;
    for (const instruction of instructions) {
      // What the model has decided already is still done when the worker goes away: it is intended.
      if (!this.draining || instruction.do === 'run-tool') this.follow(instruction);
    }
  }

  private follow(instruction: Instruction): void {
    const { call, attempt } = instruction;
    if (!this.isPresent(instruction) || attempt <= (this.begun.get(call) ?? 0)) return;
    this.begun.set(call, attempt);
    this.stopIdle();
    this.running += 1;
    if (instruction.do === 'call-model') void this.callModel(instruction);
    else void this.runTool(instruction);
  }

  /** An instruction that was delayed on its way may belong to a turn that is over. */
  private isPresent({ do: what, call }: Instruction): boolean {
    const present = this.turns.at(-1);
    if (what === 'run-tool') return present !== undefined && call.startsWith(`${present.call}.`);
    return present === undefined || turnOf(call) > turnOf(present.call);
  }

  private async callModel({ call, attempt }: CallModel): Promise<void> {
    this.writeTurns();
    const { agent, instructions, digest } = this;
    const prompt = {
      instructions,
      messages: [...this.messages],
      tools: agent.tools,
      promptHash: this.home.host.digest.sha256(`${digest}${instructions}`),
    };
    const ended = await callModel(this.execution, agent.model, prompt);
    this.running -= 1;
    if (!this.isActive) return;
    if (ended.ok) {
      this.turns.push({ call, decision: ended.value as ModelDecision, outcomes: new Map() });
      this.begun.clear();
    }
    this.reporter.add(modelResultEntry(call, attempt, ended.text));
    this.proceed();
  }

  private async runTool({ call, tool: name, args, attempt }: RunTool): Promise<void> {
    const tool = this.tools.get(name);
    const idempotencyKey = `${this.order.tenant}/${this.runId}/0/${call}`;
    const ended = await this.useTool(tool, { name, call, args, attempt, idempotencyKey });
    this.running -= 1;
    if (!this.isActive) return;
    this.rememberOutcome(call, ended.ok ? { ok: true, value: ended.value } : { ok: false, error: ended.error });
    this.reporter.add(effectResultEntry(call, attempt, ended.text));
    this.proceed();
  }

  private useTool(
    tool: Tool | undefined,
    use: { name: string; call: string; args: unknown; attempt: number; idempotencyKey: string },
  ): Promise<Ended> {
    const { name, call, args, attempt, idempotencyKey } = use;
    if (tool === undefined) return Promise.resolve(unknownTool(name, this.agent));
    if (this.uncertain.has(call) && !mayRunAgain(tool)) return Promise.resolve(effectUnknown(tool));
    return runTool(this.execution, { tool, args, attempt, idempotencyKey, log: this.home.host.log });
  }

  private writeTurns(): void {
    for (const { call, decision, outcomes } of this.turns.slice(this.turnsWritten)) {
      const { text, toolCalls } = decision;
      this.write({ role: 'assistant', text, toolCalls });
      toolCalls.forEach(({ toolCallId, tool }, index) => {
        // The owner answers for a tool that does not exist; a warm worker is not told.
        const outcome = outcomes.get(`${call}.${index}`) ?? { ok: false, error: unknownTool(tool, this.agent).error };
        this.write({ role: 'tool', toolCallId, tool, outcome });
      });
    }
    this.turnsWritten = this.turns.length;
  }

  /** The digest of a conversation is that of what went before and of what is new: it costs what is new. */
  private write(message: Message): void {
    this.messages.push(message);
    this.digest = this.home.host.digest.sha256(`${this.digest}${canonicalJson(message)}`);
  }

  protected proceed(): void {
    if (this.endIfAsked()) return;
    this.reporter.flush();
    if (this.running === 0 && !this.cancelled && this.ready) this.suspendWhenIdle(SUSPEND_AFTER_MS);
  }

  protected onIdle(): void {
    if (this.running === 0 && !this.cancelled && this.reporter.unrecorded === 0) this.suspend();
  }

  protected onCancel(): void {
    this.early = [];
  }

  protected get codeEnded(): boolean {
    return true;
  }

  protected get isRecorded(): boolean {
    return this.reporter.unrecorded === 0;
  }
}

/** Model calls are named t1, t2, … */
function turnOf(call: string): number {
  return Number(call.slice(1));
}

function unknownTool(name: string, agent: Agent) {
  const offered = agent.tools.map((tool) => tool.name).join(', ');
  const message = `There is no tool named ${name}. The tools of this agent are: ${offered}.`;
  const error = { code: 'UnknownTool', message, reaction: 'terminal' as const };
  return { ok: false as const, error, text: `{"ok":false,"error":${JSON.stringify(error)}}` };
}
