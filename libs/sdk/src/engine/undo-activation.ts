import { Terminal } from '@perdure/kernel';
import type { Activate, Instruction } from '@perdure/run-contract';
import { Activation, type ActivationHome } from './activation';
import { probe, useClaimed, type ClaimedUse } from './claimed-effect';
import type { Tool } from './definitions';
import { effectResultEntry } from './entries';
import { runTool } from './execution';
import { progressOf } from './heartbeat-notes';
import { idempotencyKeyOf } from './identity';
import { failed } from './outcome';

interface Done {
  readonly text: string | undefined;
  /** It was not begun: it may be asked for again under the same number. */
  readonly isAgain?: boolean;
}

type Undo = Exclude<Instruction, { do: 'call-model' }>;

/**
 * Undoes what a run has done, one effect after another, as its owner instructs: it needs the tools alone, and none of the code
 * of the run. What is undone has one key for all attempts, in whatever process.
 */
export class UndoActivation extends Activation {
  /** Attempts and probes begun, by what they are of: an instruction is repeated until its end is reported. */
  private readonly begun = new Map<string, number>();

  constructor(
    home: ActivationHome,
    order: Activate,
    private readonly tools: ReadonlyMap<string, Tool>,
  ) {
    super(home, order);
  }

  protected begin(): void {
    this.receive(this.order);
  }

  protected takeInbound(): void {
    // There is no code that would be given anything.
  }

  protected takeInstructions(instructions: readonly Instruction[]): void {
    if (this.draining) return;
    for (const instruction of instructions) if (instruction.do !== 'call-model') this.follow(instruction);
  }

  private follow(instruction: Undo): void {
    const { call, attempt } = instruction;
    const isProbe = instruction.do === 'probe-tool';
    const [work, number] = isProbe ? [`probe ${attempt} of ${call}`, instruction.probe] : [call, attempt];
    if (number <= (this.begun.get(work) ?? 0)) return;
    this.begun.set(work, number);
    this.stopIdle();
    this.running += 1;
    void (isProbe ? this.probeTool(instruction) : this.undo(instruction)).then(({ text, isAgain }) => {
      this.running -= 1;
      if (!this.isActive) return;
      if (isAgain === true) this.begun.delete(work);
      if (text !== undefined) this.reporter.add(text);
      this.proceed();
    });
  }

  private async undo(instruction: Exclude<Undo, { do: 'probe-tool' }>): Promise<Done> {
    const { call, attempt, args, mustClaim } = instruction;
    const tool = this.undoingTool(instruction);
    if (tool === undefined)
      return { text: effectResultEntry(call, attempt, { outcome: failed(notHere(instruction.tool)).text }) };
    const { log } = this.home.host;
    const idempotencyKey = this.keyOf(instruction);
    const use = { tool, args, attempt, idempotencyKey, log, progress: progressOf(this, instruction) };
    // What runs under a grant alone finds none here, and is refused.
    if (mustClaim === true || tool.approval === 'required') {
      const used: ClaimedUse = await useClaimed(this, { ...use, call });
      return { text: used.text, isAgain: used.did === 'not-begin' };
    }
    const ended = await runTool(this.execution, { ...use, executionId: `${idempotencyKey}/${attempt}` });
    return { text: effectResultEntry(call, attempt, { outcome: ended.text }) };
  }

  private async probeTool(instruction: Extract<Undo, { do: 'probe-tool' }>): Promise<Done> {
    const { log } = this.home.host;
    const tool = this.tools.get(instruction.tool);
    return probe(this.execution, { tool, instruction, idempotencyKey: this.keyOf(instruction), log });
  }

  /** What the tool declares, in the form of a tool; or the tool itself, where the code of the run has registered a use of it. */
  private undoingTool(instruction: Exclude<Undo, { do: 'probe-tool' }>): Tool | undefined {
    const tool = this.tools.get(instruction.tool);
    if (instruction.do === 'run-tool' || tool === undefined) return tool;
    const { compensation, name } = tool;
    if (compensation === undefined) return undefined;
    const { effect, timeoutMs, retry, undo } = compensation;
    const execute: Tool['execute'] = (input, scope) => undo(input, instruction.result, scope);
    return { ...tool, name, effect, timeoutMs, retry, execute, timeouts: undefined, onExhausted: undefined, approval: undefined };
  }

  /** From identity alone: what undoes is told apart by the name of what it undoes, which is one in the whole ledger. */
  private keyOf({ call, undoes }: Undo): string {
    const key = idempotencyKeyOf(this.order, undoes ?? call);
    return undoes === undefined ? key : `${key}/undo`;
  }

  protected proceed(): void {
    if (this.endIfAsked()) return;
    this.reporter.flush();
    if (this.running === 0) this.suspendWhenIdle();
  }

  protected onIdle(): void {
    if (this.running === 0 && this.reporter.unrecorded === 0) this.suspend();
  }

  protected onCancel(): void {
    // Nobody cancels what is undone already.
  }

  protected get codeEnded(): boolean {
    return true;
  }

  protected get isRecorded(): boolean {
    return this.reporter.unrecorded === 0;
  }
}

/** Another build may: it is tried again, and at last the effect is said not to be undone. */
function notHere(tool: string) {
  const message = `This worker hosts no tool ${tool} that could undo it. Start a worker whose build does.`;
  return { ...new Terminal('UnknownTool', message).toRecord(), reaction: 'retryable' as const };
}
