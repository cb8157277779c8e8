import { Terminal, type ErrorRecord } from '@perdure/kernel';
import type { Activate, InboundFact, Instruction, JournalItem, ModelDecision } from '@perdure/run-contract';
import { Activation, type ActivationHome } from './activation';
import { SUSPEND_AFTER_MS } from './bounds';
import { Conversation, holdsContext, turnOf, type UseEnd } from './conversation';
import type { Agent, Tool } from './definitions';
import { probe, useClaimed, type ClaimedUse, type ProbeTool } from './claimed-effect';
import { effectResultEntry, failedEntry, modelResultEntry } from './entries';
import { callModel, runTool } from './execution';
import { progressOf } from './heartbeat-notes';
import { idempotencyKeyOf } from './identity';
import { recordOf, type Ended } from './outcome';
import type { SealedJournal } from './sealed-journal';

type CallModel = Extract<Instruction, { do: 'call-model' }>;
type RunTool = Extract<Instruction, { do: 'run-tool' }>;
/** A use of a tool, as its instruction has it. */
type Use = Pick<RunTool | ProbeTool, 'call' | 'args' | 'editedBy'>;

/**
 * Does what the owner of the run instructs: it calls the model and runs tools. What comes next is decided
 * there, from the log; here is only the conversation so far.
 *
 * A tool needs nothing of the conversation: it begins while that is still being read, however long it is.
 */
export class AgentActivation extends Activation {
  private readonly agent: Agent;
  private readonly tools: ReadonlyMap<string, Tool>;
  private conversation: Conversation | undefined;
  private instructions = '';
  /** Ends of uses that came before all of the conversation was read; undefined when it is. */
  private late: (readonly [call: string, end: UseEnd])[] | undefined = [];
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

  protected begin(tail: readonly JournalItem[], sealed: SealedJournal | undefined): void {
    void this.prepare(tail, sealed);
  }

  private async prepare(tail: readonly JournalItem[], sealed: SealedJournal | undefined): Promise<void> {
    let prompt: string;
    try {
      const input = await this.agent.input.parseAsync(this.order.input);
      this.instructions = this.agent.instructionsFor(input);
      prompt = this.agent.promptFor(input);
    } catch (error) {
      const message = `The input does not fit ${this.agent.name}: ${error instanceof Error ? error.message : String(error)}`;
      this.end(failedEntry(JSON.stringify(recordOf(new Terminal('InvalidInput', message), 'terminal'))));
      return;
    }
    if (!this.isActive) return;
    this.conversation = this.conversationOf(prompt, tail);
    if (sealed === undefined) return this.goOn();
    void this.whenRead(this.older(sealed, tail), (older) => {
      this.conversation = this.conversationOf(prompt, older.concat(tail));
      this.goOn();
    });
    this.receive(this.order);
  }

  private conversationOf(prompt: string, journal: readonly JournalItem[]): Conversation {
    const { agent } = this;
    const { contextTurns } = agent;
    const unknown = (name: string): ErrorRecord => unknownTool(name, agent).error;
    return new Conversation({ digest: this.home.host.digest, prompt, contextTurns, unknownTool: unknown }, journal);
  }

  /** What the model will be shown, and no more. */
  private older(sealed: SealedJournal, tail: readonly JournalItem[]): Promise<readonly JournalItem[]> {
    const { contextTurns } = this.agent;
    return contextTurns === undefined ? sealed.all() : sealed.newest((items) => holdsContext(items.concat(tail), contextTurns));
  }

  /** All of the conversation is known. */
  private goOn(): void {
    for (const [call, end] of this.late ?? []) this.conversation?.rememberEnd(call, end);
    this.late = undefined;
    const { early } = this;
    this.early = [];
    this.takeInstructions(early);
    this.receive(this.order);
  }

  private rememberEnd(call: string, end: UseEnd): void {
    this.late?.push([call, end]);
    this.conversation?.rememberEnd(call, end);
  }

  protected takeInbound(facts: readonly InboundFact[]): void {
    for (const fact of facts) this.rememberEnd(fact.call, fact);
  }

  protected takeInstructions(instructions: readonly Instruction[]): void {
    if (this.cancelled) return;
    for (const instruction of instructions) {
      // What the model has decided already is still done when the worker goes away: it is intended.
      if (!this.draining || instruction.do !== 'call-model') this.follow(instruction);
    }
  }

  private follow(instruction: Instruction): void {
    if (instruction.do === 'undo-tool') return;
    const { conversation } = this;
    if (conversation === undefined || (this.late !== undefined && !isOfTurn(instruction, conversation.present))) {
      this.early.push(instruction);
      return;
    }
    const [work, number] = workOf(instruction);
    if (!isPresent(instruction, conversation.present) || number <= (this.begun.get(work) ?? 0)) return;
    this.begun.set(work, number);
    this.stopIdle();
    this.running += 1;
    if (instruction.do === 'call-model') void this.callModel(conversation, instruction);
    else if (instruction.do === 'run-tool') void this.runTool(instruction);
    else if (instruction.do === 'probe-tool') void this.probeTool(instruction);
  }

  private async callModel(
    conversation: Conversation,
    { call, attempt, model: id, signals, tell: told }: CallModel,
  ): Promise<void> {
    // A warm worker learns of them by the instruction alone.
    if (signals !== undefined) conversation.rememberSignals(call, signals);
    const { messages, digest } = conversation.shownBefore(call, told);
    const { agent, instructions } = this;
    const { tools, output } = agent;
    const model = agent.otherModels.find((other) => other.id === id) ?? agent.model;
    const prompt = { instructions, messages, tools, output };
    const promptHash = this.home.host.digest.sha256(`${digest}${instructions}`);
    const tell = () => this.tell(call, attempt);
    const ended = await callModel(this.execution, { model, prompt, promptHash, tell });
    this.running -= 1;
    if (!this.isActive) return;
    if (ended.ok) {
      conversation.rememberTurn(call, told, ended.value as ModelDecision);
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
    if (used.did === 'end') this.rememberUse(instruction, used.ended);
    if (used.text !== undefined) this.reporter.add(used.text);
    this.proceed();
  }

  private async useTool(instruction: RunTool): Promise<ClaimedUse> {
    const { call, tool: name, args, attempt, mustClaim, grant } = instruction;
    const tool = this.tools.get(name);
    const idempotencyKey = this.keyOf(call);
    const use = { args, attempt, idempotencyKey, log: this.home.host.log, progress: progressOf(this, instruction) };
    if (tool !== undefined && (mustClaim === true || tool.approval === 'required'))
      return useClaimed(this, { ...use, call, tool, grant });
    const executionId = `${idempotencyKey}/${attempt}`;
    const ended =
      tool === undefined ? unknownTool(name, this.agent) : await runTool(this.execution, { ...use, tool, executionId });
    return { did: 'end', ended, asks: false, text: effectResultEntry(call, attempt, { outcome: ended.text }) };
  }

  private async probeTool(instruction: ProbeTool): Promise<void> {
    const { call, tool } = instruction;
    const use = { tool: this.tools.get(tool), instruction, idempotencyKey: this.keyOf(call), log: this.home.host.log };
    const { text, ended } = await probe(this.execution, use);
    this.running -= 1;
    if (!this.isActive) return;
    if (ended !== undefined) this.rememberUse(instruction, ended);
    this.reporter.add(text);
    this.proceed();
  }

  /** In the words in which the journal has it. */
  private rememberUse({ call, args, editedBy: by }: Use, ended: Ended): void {
    const outcome: UseEnd['outcome'] = ended.ok ? { ok: true, value: ended.value } : { ok: false, error: ended.error };
    this.rememberEnd(call, { outcome, ...(by === undefined ? {} : { edited: { by, args } }) });
  }

  /** From identity alone, never from what the model wrote. */
  private keyOf(call: string): string {
    return idempotencyKeyOf(this.order, call);
  }

  protected proceed(): void {
    if (this.endIfAsked()) return;
    this.reporter.flush();
    if (this.running === 0 && !this.cancelled && this.late === undefined) this.suspendWhenIdle(SUSPEND_AFTER_MS);
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

/** A use of a tool that the turn has decided. */
function isOfTurn({ do: what, call }: Instruction, present: string | undefined): boolean {
  return what !== 'call-model' && present !== undefined && call.startsWith(`${present}.`);
}

/** An instruction that was delayed on its way may belong to a turn that is over. */
function isPresent(instruction: Instruction, present: string | undefined): boolean {
  if (instruction.do !== 'call-model') return isOfTurn(instruction, present);
  return present === undefined || turnOf(instruction.call) > turnOf(present);
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
