import { ASK_NAME, type ErrorRecord } from '@perdure/kernel';
import type {
  EditedUse,
  InboundFact,
  Instruction,
  JournalItem,
  ModelDecision,
  Outcome,
  ProgressEntry,
  RunOutcome,
  ShownSignal,
} from '@perdure/run-contract';

export type FakeFact =
  | ProgressEntry
  | { readonly type: 'timer-fired'; readonly call: string }
  | { readonly type: 'signal'; readonly name: string; readonly payload: unknown }
  | { readonly type: 'agent-begun' }
  | { readonly type: 'activation-over' }
  /** A person's word. */
  | { readonly type: 'told'; readonly call: string; readonly outcome: Outcome };

export interface FakeTool {
  readonly mustClaim: boolean;
  readonly hasProbe: boolean;
}

export interface FakeCall {
  readonly kind: 'tool' | 'model' | 'sleep' | 'wait' | 'child' | 'message';
  readonly name: string;
  readonly args?: unknown;
  readonly toolCallId?: string;
  readonly edited?: EditedUse;
  readonly signals?: ShownSignal[];
  attempt: number;
  waits: boolean;
  /** What it said last of how far it is. */
  heartbeat?: { readonly detail: unknown };
  /** Of a claimed effect. */
  execution?: { readonly id: string; stage: 'under-way' | 'unknown' | 'probe-due' | 'in-question'; probe: number } | undefined;
}

export interface FakeLimits {
  readonly isAgent: boolean;
  readonly attemptsMax: number;
  readonly edited?: EditedUse | undefined;
  readonly tools: ReadonlyMap<string, FakeTool>;
}

/** The bound before which no owner asks. */
export const PROBE_AFTER_MS = 7_000;

/** What the owner of a run knows, folded from what was recorded: as little of it as specs of a worker need. */
export class FakeRun {
  readonly items: JournalItem[] = [];
  readonly calls = new Map<string, FakeCall>();
  readonly sleeping = new Map<string, number>();
  inbound: InboundFact[] = [];
  outcome: RunOutcome | { readonly status: 'diverged'; readonly text: string } | undefined;
  letGo: 'suspended' | 'handed-over' | undefined;
  revision = 0;
  private turn = 0;
  private signals: ShownSignal[] = [];

  constructor(
    private readonly limits: FakeLimits,
    facts: readonly FakeFact[] = [],
  ) {
    for (const fact of facts) this.apply(fact);
  }

  get isExecuting(): boolean {
    return [...this.calls.values()].some(({ execution }) => execution?.stage === 'under-way');
  }

  get instructions(): Instruction[] {
    return [...this.calls].flatMap(([call, open]): Instruction[] => {
      const { kind, name, args, attempt, waits, toolCallId, execution } = open;
      const edited = open.edited === undefined ? {} : { editedBy: open.edited.by };
      if (waits || (kind !== 'tool' && kind !== 'model')) return [];
      if (execution?.stage === 'probe-due')
        return [
          { do: 'probe-tool', call, tool: name, args, attempt, executionId: execution.id, probe: execution.probe, ...edited },
        ];
      if (execution !== undefined) return [];
      if (kind === 'model')
        return [{ do: 'call-model', call, attempt, ...(open.signals === undefined ? {} : { signals: open.signals }) }];
      const mustClaim = this.limits.tools.get(name)?.mustClaim === true ? { mustClaim: true } : {};
      return [
        {
          do: 'run-tool',
          call,
          tool: name,
          args,
          attempt,
          ...(toolCallId === undefined ? {} : { toolCallId }),
          ...mustClaim,
          ...edited,
          ...(open.heartbeat === undefined ? {} : { lastHeartbeat: open.heartbeat.detail }),
        },
      ];
    });
  }

  apply(fact: FakeFact): void {
    this.revision += 1;
    switch (fact.type) {
      case 'agent-begun':
        return this.intendModel();
      case 'step':
        return this.got({ call: fact.call, kind: 'step', name: fact.name, outcome: fact.outcome });
      case 'undo-registered':
        return this.got({ call: fact.call, kind: 'undo', name: fact.tool, outcome: { ok: true, value: null } });
      case 'value':
        return this.got({ call: fact.call, kind: 'value', name: fact.name, outcome: { ok: true, value: fact.value } });
      case 'delivered':
        return this.delivered(fact.revision);
      case 'effect-intended':
        return this.intended(
          fact.call,
          { kind: 'tool', name: fact.tool, args: fact.args, attempt: 1, waits: false },
          fact.argsHash,
        );
      case 'model-intended':
        return this.intended(fact.call, { kind: 'model', name: fact.model, attempt: 1, waits: false }, fact.promptHash);
      case 'timer-set':
        this.sleeping.set(fact.call, fact.delayMs ?? 0);
        return this.intended(fact.call, { kind: 'sleep', name: 'sleep', attempt: 1, waits: false });
      case 'timer-fired':
        return this.fired(fact.call);
      case 'signal-awaited':
        this.intended(fact.call, { kind: 'wait', name: fact.name, attempt: 1, waits: false });
        if (fact.timeoutMs !== undefined) this.sleeping.set(`wait-${fact.call}`, fact.timeoutMs);
        return this.matchSignals();
      case 'task-asked':
        return this.intended(fact.call, { kind: 'wait', name: ASK_NAME, attempt: 1, waits: false });
      case 'message-sent':
        return this.intended(fact.call, { kind: 'message', name: fact.name, attempt: 1, waits: false });
      case 'continued':
        return;
      case 'child-requested':
        return this.intended(fact.call, { kind: 'child', name: fact.name, attempt: 1, waits: false });
      case 'signal':
        this.signals.push({ revision: this.revision, name: fact.name, payload: fact.payload });
        return this.matchSignals();
      case 'effect-claimed':
        return this.claimed(fact);
      case 'effect-not-started':
        this.executing(fact).execution = undefined;
        return;
      case 'effect-progressed':
        this.openCall(fact.call, fact.attempt).heartbeat = { detail: fact.detail };
        return;
      case 'effect-unknown':
        return this.becomesUnknown(fact.call, this.executing(fact));
      case 'activation-over':
        for (const [call, open] of this.calls) if (open.execution?.stage === 'under-way') this.becomesUnknown(call, open);
        return;
      case 'probe-result':
        return this.probed(fact);
      case 'told':
        return this.told(fact.call, fact.outcome);
      case 'effect-result':
        if (this.limits.tools.get(this.calls.get(fact.call)?.name ?? '')?.mustClaim === true && fact.outcome.ok)
          if (this.calls.get(fact.call)?.execution?.stage !== 'under-way') throw new Error(`${fact.call} was never claimed`);
        return this.ended(fact.call, fact.attempt, fact.outcome);
      case 'model-result':
        return fact.result.ok
          ? this.decided(fact.call, fact.attempt, fact.result.decision)
          : this.ended(fact.call, fact.attempt, fact.result);
      case 'suspended':
      case 'handed-over':
        this.letGo = fact.type;
        return;
      case 'completed':
        this.outcome = { status: 'completed', output: fact.output };
        return;
      case 'failed':
        this.outcome = { status: 'failed', error: fact.error };
        return;
      case 'cancelled':
        this.outcome = { status: 'cancelled', reason: 'asked' };
        return;
      case 'diverged': {
        const { call, expected, found, position } = fact.divergence;
        this.outcome = { status: 'diverged', text: `${call}@${position}: expected ${expected}, found ${found}` };
        return;
      }
      case 'timer-cancelled':
        this.calls.delete(fact.call);
    }
  }

  private got(item: Omit<Extract<JournalItem, { type: 'got' }>, 'type'>): void {
    this.items.push({ type: 'got', ...item });
  }

  private intended(call: string, open: FakeCall, hash?: string): void {
    if (this.calls.has(call)) throw new Error(`${call} is intended twice`);
    this.calls.set(call, open);
    this.items.push({ type: 'made', call, kind: open.kind, name: open.name, ...(hash === undefined ? {} : { hash }) });
  }

  private openCall(call: string, attempt: number): FakeCall {
    const open = this.calls.get(call);
    if (open === undefined || open.attempt !== attempt || open.waits)
      throw new Error(`attempt ${attempt} of ${call} is not open`);
    return open;
  }

  private told(call: string, outcome: Outcome): void {
    const open = this.calls.get(call);
    this.calls.delete(call);
    const edited = open?.edited === undefined ? {} : { edited: open.edited };
    this.inbound.push({ revision: this.revision, call, outcome, ...edited });
    if (!this.limits.isAgent || open === undefined) return;
    this.items.push({ type: 'tool-result', call, toolCallId: open.toolCallId ?? call, tool: open.name, outcome, ...edited });
    if (this.calls.size === 0) this.intendModel();
  }

  private claimed({ call, attempt, executionId }: Extract<ProgressEntry, { type: 'effect-claimed' }>): void {
    const open = this.openCall(call, attempt);
    if (open.execution !== undefined) throw new Error(`${call} is claimed twice`);
    open.execution = { id: executionId, stage: 'under-way', probe: 1 };
  }

  private executing(of: { readonly call: string; readonly attempt: number; readonly executionId: string }): FakeCall {
    const open = this.openCall(of.call, of.attempt);
    if (open.execution?.id !== of.executionId) throw new Error(`${of.call} is not executed by ${of.executionId}`);
    return open;
  }

  private becomesUnknown(call: string, open: FakeCall): void {
    if (open.execution === undefined) return;
    const { hasProbe = false } = this.limits.tools.get(open.name) ?? {};
    open.execution.stage = hasProbe ? 'unknown' : 'in-question';
    if (hasProbe) this.sleeping.set(`probe-${call}`, PROBE_AFTER_MS);
  }

  private probed(fact: Extract<ProgressEntry, { type: 'probe-result' }>): void {
    const open = this.executing(fact);
    const { execution } = open;
    if (execution?.stage !== 'probe-due' || execution.probe !== fact.probe) throw new Error(`${fact.call} is not to be probed`);
    if (fact.found.verdict === 'happened') return this.ended(fact.call, fact.attempt, { ok: true, value: fact.found.result });
    if (fact.found.verdict === 'absent') {
      open.attempt += 1;
      open.execution = undefined;
      return;
    }
    execution.probe += 1;
    execution.stage = 'unknown';
    this.sleeping.set(`probe-${fact.call}`, PROBE_AFTER_MS);
  }

  private ended(call: string, attempt: number, outcome: { ok: true; value?: unknown } | { ok: false; error: ErrorRecord }): void {
    const open = this.openCall(call, attempt);
    if (!outcome.ok && outcome.error.reaction === 'retryable' && attempt < this.limits.attemptsMax) {
      open.waits = true;
      open.execution = undefined;
      this.sleeping.set(`retry-${call}`, 700);
      return;
    }
    this.calls.delete(call);
    // That a model gave up since its run is cancelled is no failure.
    if (!outcome.ok && outcome.error.reaction === 'cancelled') return;
    if (!outcome.ok && open.kind === 'model' && this.limits.isAgent) {
      this.outcome = { status: 'failed', error: outcome.error };
      return;
    }
    const result = outcome.ok ? { ok: true as const, value: outcome.value } : { ok: false as const, error: outcome.error };
    if (!this.limits.isAgent) return this.got({ call, kind: open.kind, name: open.name, outcome: result });
    const edited = open.edited === undefined ? {} : { edited: open.edited };
    const used = { toolCallId: open.toolCallId ?? call, tool: open.name, outcome: result, ...edited };
    this.items.push({ type: 'tool-result', call, ...used });
    if (this.calls.size === 0) this.intendModel();
  }

  private decided(call: string, attempt: number, decision: ModelDecision): void {
    const open = this.openCall(call, attempt);
    this.calls.delete(call);
    if (!this.limits.isAgent) return this.got({ call, kind: 'model', name: open.name, outcome: { ok: true, value: decision } });
    this.items.push({ type: 'decided', call, decision });
    this.inbound = [];
    if (decision.toolCalls.length === 0) {
      this.outcome = { status: 'completed', output: decision.text };
      return;
    }
    decision.toolCalls.forEach(({ tool, args, toolCallId }, index) =>
      this.decidedTool(`${call}.${index}`, tool, { args, toolCallId }),
    );
    if (this.calls.size === 0) this.intendModel();
  }

  private decidedTool(call: string, tool: string, { args, toolCallId }: { args: unknown; toolCallId: string }): void {
    if (this.limits.tools.has(tool)) {
      const { edited } = this.limits;
      const use = edited === undefined ? { args } : { args: edited.args, edited };
      this.calls.set(call, { kind: 'tool', name: tool, ...use, toolCallId, attempt: 1, waits: false });
      return;
    }
    const error = { code: 'UnknownTool', message: `There is no tool named ${tool}.`, reaction: 'terminal' as const };
    this.items.push({ type: 'tool-result', call, toolCallId, tool, outcome: { ok: false, error } });
  }

  private matchSignals(): void {
    for (const [call, { kind, name }] of this.calls) {
      const signal = kind === 'wait' ? this.signals.find((candidate) => candidate.name === name) : undefined;
      if (signal === undefined) continue;
      this.signals = this.signals.filter((candidate) => candidate !== signal);
      this.calls.delete(call);
      const value = { timedOut: false, payload: signal.payload };
      this.inbound.push({ revision: this.revision, call, outcome: { ok: true, value } });
    }
  }

  private intendModel(): void {
    this.turn += 1;
    const call = `t${this.turn}`;
    const shown = this.signals.length === 0 ? {} : { signals: this.signals };
    for (const signal of this.signals) this.items.push({ type: 'signalled', call, ...signal });
    this.signals = [];
    this.calls.set(call, { kind: 'model', name: 'model', attempt: 1, waits: false, ...shown });
  }

  private delivered(revision: number): void {
    const fact = this.inbound.find((candidate) => candidate.revision === revision);
    if (fact === undefined) throw new Error(`revision ${revision} is not inbound`);
    this.inbound = this.inbound.filter((candidate) => candidate !== fact);
    const made = this.items.find((item) => item.type === 'made' && item.call === fact.call);
    const { kind, name } = made?.type === 'made' ? made : { kind: 'sleep' as const, name: 'sleep' };
    this.got({ call: fact.call, kind, name, outcome: fact.outcome });
  }

  private fired(call: string): void {
    this.sleeping.delete(call);
    if (call.startsWith('probe-')) {
      const { execution } = this.calls.get(call.slice('probe-'.length)) ?? {};
      if (execution?.stage === 'unknown') execution.stage = 'probe-due';
      return;
    }
    if (call.startsWith('wait-')) {
      const waiting = call.slice('wait-'.length);
      if (this.calls.delete(waiting))
        this.inbound.push({ revision: this.revision, call: waiting, outcome: { ok: true, value: { timedOut: true } } });
      return;
    }
    if (call.startsWith('retry-')) {
      const open = this.calls.get(call.slice('retry-'.length));
      if (open === undefined) return;
      open.attempt += 1;
      open.waits = false;
      return;
    }
    if (this.calls.delete(call)) this.inbound.push({ revision: this.revision, call, outcome: { ok: true, value: null } });
  }
}
