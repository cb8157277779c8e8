import { mustBeClaimed, type RecordedEvent } from '@perdure/kernel';
import { TERMINAL_EVENT_TYPES } from '@perdure/run-contract';
import type { Finding, RunAuditOptions } from './run-audit';

type Data = Readonly<Record<string, unknown>>;

interface Watched {
  effectClass: string;
  /** Executed by a worker of another pool: it does not end with an activation. */
  readonly isPooled: boolean;
  hasProbe: boolean;
  /** What may be under way, or has happened without anybody knowing. */
  execution: { readonly id: string; readonly overByMs: number; state: 'under-way' | 'unknown' | 'told' } | undefined;
}

/** What ends an activation: nothing may be left in the air. */
const LETTING_GO: readonly string[] = ['ActivationLost', 'RunSuspended', 'RunEnding', 'CodeDiverged', ...TERMINAL_EVENT_TYPES];

/** I3 for effects that must not be doubled, by the facts of one run alone. */
export function auditEffects(events: readonly RecordedEvent[], options: RunAuditOptions): readonly Finding[] {
  const audit = new EffectAudit(options);
  for (const event of events) audit.see(event);
  return audit.findings;
}

class EffectAudit {
  readonly findings: Finding[] = [];
  private readonly effects = new Map<string, Watched>();

  constructor(private readonly options: RunAuditOptions) {}

  see(event: RecordedEvent): void {
    const data = event.data as Data;
    const call = String(data['call'] ?? '');
    const found = (message: string): void =>
      void this.findings.push({
        invariant: 'I3',
        message: `${event.stream}@${event.revision} ${event.type} of ${call}: ${message}`,
      });
    if (event.type === 'EffectIntended')
      this.effects.set(call, {
        effectClass: String(data['effectClass']),
        isPooled: data['pool'] !== undefined,
        hasProbe: false,
        execution: undefined,
      });
    if (event.type === 'RunRewound' || event.type === 'RunContinued') this.rewound(found);
    if (LETTING_GO.includes(event.type)) this.letGo(event.type, found);
    const effect = this.effects.get(call);
    if (event.type === 'EffectDispatched' && effect !== undefined) this.dispatched(data, effect, found);
    if (effect !== undefined && mustBeClaimed(effect.effectClass)) this.follow(event, effect, found);
  }

  /** What it is says whoever executes it; and of another pool nobody else may. */
  private dispatched(data: Data, effect: Watched, found: (message: string) => void): void {
    effect.effectClass = String(data['effectClass'] ?? effect.effectClass);
    if (effect.isPooled !== (data['executor'] !== undefined)) found('it was dispatched to who may not execute it');
  }

  /** What is not known is not taken back. */
  private rewound(found: (message: string) => void): void {
    for (const [call, { execution }] of this.effects)
      if (execution !== undefined)
        found(`the execution ${execution.id} of ${call} is ${execution.state}, and the run leaves it behind`);
    this.effects.clear();
  }

  private letGo(type: string, found: (message: string) => void): void {
    const isEnd = (TERMINAL_EVENT_TYPES as readonly string[]).includes(type);
    for (const [call, { execution, isPooled }] of this.effects)
      if (execution?.state === 'under-way' && (isEnd || !isPooled))
        found(`the execution ${execution.id} of ${call} is under way, and nobody says that it is unknown`);
  }

  private follow(event: RecordedEvent, effect: Watched, found: (message: string) => void): void {
    const data = event.data as Data;
    const { execution } = effect;
    switch (event.type) {
      case 'EffectDispatched':
        if (execution !== undefined) found(`the execution ${execution.id} before it is ${execution.state}`);
        effect.hasProbe = data['hasProbe'] === true;
        effect.execution = { id: String(data['executionId']), overByMs: Number(data['overByMs']), state: 'under-way' };
        return;
      case 'EffectNotStarted':
        if (execution?.id === data['executionId']) effect.execution = undefined;
        return;
      case 'EffectQuestioned':
        // It was dispatched in the run that this one is a copy of.
        if (data['because'] === 'forked')
          effect.execution = { id: String(data['executionId']), overByMs: Number(data['overByMs']), state: 'unknown' };
        return;
      case 'EffectUnknown':
        if (execution !== undefined) execution.state = 'unknown';
        return;
      case 'EffectProbed':
        this.probed(event, execution, found);
        return;
      case 'EffectReconciled':
        if (data['by'] === 'probe') this.probed(event, execution, found);
        if (data['by'] === 'probe' && !effect.hasProbe) found('it has no probe: only a person can say');
        if (execution?.state !== 'unknown') found('it was not unknown');
        if (data['verdict'] === 'absent') effect.execution = undefined;
        else if (execution !== undefined) execution.state = 'told';
        return;
      case 'EffectConfirmed':
        if (execution === undefined) found('it was never dispatched');
        else if (execution.state === 'unknown') found(`nobody found out what became of the execution ${execution.id}`);
        effect.execution = undefined;
        return;
      case 'EffectDeadLettered':
      case 'EffectFailed':
        if (execution?.state === 'unknown') found(`nobody found out what became of the execution ${execution.id}`);
        effect.execution = undefined;
    }
  }

  private probed({ recordedAtMs }: RecordedEvent, execution: Watched['execution'], found: (message: string) => void): void {
    const earlyMs = (execution?.overByMs ?? 0) - recordedAtMs;
    if (earlyMs > this.options.clockSkewMs) found(`it was probed ${earlyMs} ms before the execution was over`);
  }
}
