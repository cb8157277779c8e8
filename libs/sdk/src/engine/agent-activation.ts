import { canonicalJson, Terminal } from '@perdure/kernel';
import type { Activate, InboundFact, Instruction, JournalItem, ModelDecision, Outcome, ShownSignal } from '@perdure/run-contract';
import { Activation, type ActivationHome } from './activation';
import { SUSPEND_AFTER_MS } from './bounds';
import type { Agent, Message, Tool } from './definitions';
import { probe, useClaimed, type ClaimedUse, type ProbeTool } from './claimed-effect';
import { effectResultEntry, failedEntry, modelResultEntry } from './entries';
import { callModel, runTool } from './execution';
import { idempotencyKeyOf } from './identity';
import { recordOf, type Ended } from './outcome';

type CallModel = Extract<Instruction, { do: 'call-model' }>;
type RunTool = Extract<Instruction, { do: 'run-tool' }>;

interface Turn {
  readonly call: string;
  /** What the engine said to the model before. */
  readonly told: string | undefined;
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
  /** What the model is shown before a turn, by its call. */
  private readonly signals = new Map<string, readonly ShownSignal[]>();
  private readonly signalsWritten = new Set<string>();
  private digest = '';
  private instructions = '';
  /** The newest turn before which the engine's words are written. */
  private toldBefore = '';
  private ready = false;
  private early: Instruction[] = [];
  /** Attempts begun in the present turn, by call: an instruction is repeated until its end is reported. */
  private readonly begun = new Map<string, number>();

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
    this.ready = true;
    this.takeInstructions(this.early);
    this.receive(this.order);
  }

  private remember(item: JournalItem): void {
    if (item.type === 'decided') {
      const { call, told, decision } = item;
      this.turns.push({ call, told, decision, outcomes: new Map() });
    }
    if (item.type === 'signalled') this.rememberSignal(item);
    if (item.type === 'tool-result') this.rememberOutcome(item.call, item.outcome);
  }

  private rememberSignal({ call, revision, name, payload }: Extract<JournalItem, { type: 'signalled' }>): void {
    this.signals.set(call, [...(this.signals.get(call) ?? []), { revision, name, payload }]);
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
      if (!this.draining || instruction.do !== 'call-model') this.follow(instruction);
    }
  }

  private follow(instruction: Instruction): void {
    if (instruction.do === 'undo-tool') return;
    const [work, number] = workOf(instruction);
    if (!this.isPresent(instruction) || number <= (this.begun.get(work) ?? 0)) return;
    this.begun.set(work, number);
    this.stopIdle();
    this.running += 1;
    if (instruction.do === 'call-model') void this.callModel(instruction);
    else if (instruction.do === 'run-tool') void this.runTool(instruction);
    else if (instruction.do === 'probe-tool') void this.probeTool(instruction);
  }

  /** An instruction that was delayed on its way may belong to a turn that is over. */
  private isPresent({ do: what, call }: Instruction): boolean {
    const present = this.turns.at(-1);
    if (what !== 'call-model') return present !== undefined && call.startsWith(`${present.call}.`);
    return present === undefined || turnOf(call) > turnOf(present.call);
  }

  private async callModel({ call, attempt, model: id, signals, tell: told }: CallModel): Promise<void> {
    this.writeTurns();
    // A warm worker learns of them by the instruction alone.
    if (signals !== undefined) this.signals.set(call, signals);
    this.writeSignals(call);
    this.writeTold(call, told);
    const { agent, instructions, digest } = this;
    const { tools, output } = agent;
    const model = agent.otherModels.find((other) => other.id === id) ?? agent.model;
    const prompt = { instructions, messages: [...this.messages], tools, output };
    const promptHash = this.home.host.digest.sha256(`${digest}${instructions}`);
    const tell = () => this.tell(call, attempt);
    const ended = await callModel(this.execution, { model, prompt, promptHash, tell });
    this.running -= 1;
    if (!this.isActive) return;
    if (ended.ok) {
      this.turns.push({ call, told, decision: ended.value as ModelDecision, outcomes: new Map() });
      this.begun.clear();
    }
    this.reporter.add(modelResultEntry(call, attempt, ended.text));
    this.proceed();
  }

  private async runTool(instruction: RunTool): Promise<void> {
    const { call } = instruction;
    const used = await this.useTool(instruction);
    this.running -= 1;
    if (!this.isActive) return;
    // Asked again, it may be begun under the same number.
    if (used.did === 'not-begin') this.begun.delete(call);
    if (used.did === 'end') this.rememberEnd(call, used.ended);
    if (used.text !== undefined) this.reporter.add(used.text);
    this.proceed();
  }

  private async useTool({ call, tool: name, args, attempt, mustClaim, grant }: RunTool): Promise<ClaimedUse> {
    const tool = this.tools.get(name);
    const { log } = this.home.host;
    const idempotencyKey = this.keyOf(call);
    if (tool !== undefined && (mustClaim === true || tool.approval === 'required'))
      return useClaimed(this, { call, tool, args, attempt, idempotencyKey, log, grant });
    const executionId = `${idempotencyKey}/${attempt}`;
    const ended =
      tool === undefined
        ? unknownTool(name, this.agent)
        : await runTool(this.execution, { tool, args, attempt, idempotencyKey, executionId, log });
    return { did: 'end', ended, asks: false, text: effectResultEntry(call, attempt, { outcome: ended.text }) };
  }

  private async probeTool(instruction: ProbeTool): Promise<void> {
    const { call, tool } = instruction;
    const use = { tool: this.tools.get(tool), instruction, idempotencyKey: this.keyOf(call), log: this.home.host.log };
    const { text, ended } = await probe(this.execution, use);
    this.running -= 1;
    if (!this.isActive) return;
    if (ended !== undefined) this.rememberEnd(call, ended);
    this.reporter.add(text);
    this.proceed();
  }

  private rememberEnd(call: string, ended: Ended): void {
    this.rememberOutcome(call, ended.ok ? { ok: true, value: ended.value } : { ok: false, error: ended.error });
  }

  /** From identity alone, never from what the model wrote. */
  private keyOf(call: string): string {
    return idempotencyKeyOf(this.order, call);
  }

  private writeTurns(): void {
    for (const { call, told, decision, outcomes } of this.turns.slice(this.turnsWritten)) {
      this.writeSignals(call);
      this.writeTold(call, told);
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

  private writeSignals(call: string): void {
    if (this.signalsWritten.has(call)) return;
    this.signalsWritten.add(call);
    for (const { name, payload } of this.signals.get(call) ?? [])
      this.write({ role: 'user', text: `${name}: ${typeof payload === 'string' ? payload : JSON.stringify(payload)}` });
  }

  /** Once a turn, however often its call is tried. */
  private writeTold(call: string, text: string | undefined): void {
    if (text === undefined || this.toldBefore === call) return;
    this.toldBefore = call;
    this.write({ role: 'user', text });
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

/** What is begun at most once, and its number there. */
function workOf(instruction: Instruction): readonly [work: string, number: number] {
  const { call, attempt } = instruction;
  return instruction.do === 'probe-tool' ? [`probe ${attempt} of ${call}`, instruction.probe] : [call, attempt];
}

function unknownTool(name: string, agent: Agent) {
  const offered = agent.tools.map((tool) => tool.name).join(', ');
  const message = `There is no tool named ${name}. The tools of this agent are: ${offered}.`;
  const error = { code: 'UnknownTool', message, reaction: 'terminal' as const };
  return { ok: false as const, error, text: `{"ok":false,"error":${JSON.stringify(error)}}` };
}
