import type { RecordedEvent } from '@perdure/kernel';
import { TERMINAL_EVENT_TYPES } from '@perdure/run-contract';
import { oracleOf } from '../oracle/run-oracle';
import { auditApprovals } from './approval-audit';
import { auditEffects } from './effect-audit';
import { auditPin, type TakesOver } from './pin-audit';
import { auditUndo } from './undo-audit';

/** A breach of an invariant of ARCHITECTURE.md, in words for whoever has to find its cause. */
export interface Finding {
  readonly invariant: string;
  readonly message: string;
}

export interface RunAuditOptions {
  /** How far the clock of an owner may be off that of the store. */
  readonly clockSkewMs: number;
  /** By default no build takes the runs of another over. */
  readonly takesOver?: TakesOver;
}

type Data = Readonly<Record<string, unknown>>;
type Report = { readonly epoch: number; readonly seq: number };

/** What the facts of one run say by themselves, without knowledge of anything else: for the simulator and for chaos runs. */
export function auditRun(events: readonly RecordedEvent[], options: RunAuditOptions): readonly Finding[] {
  const audit = new RunAudit(options);
  for (const event of events) audit.see(event);
  return [
    ...audit.findings,
    ...auditEffects(events, options),
    ...auditApprovals(events, options),
    ...auditPin(events, options.takesOver),
    ...auditUndo(events),
    ...corrupt(events),
  ];
}

function corrupt(events: readonly RecordedEvent[]): readonly Finding[] {
  try {
    oracleOf(events);
    return [];
  } catch (error) {
    return [{ invariant: 'I2', message: `${events[0]?.stream ?? 'a run'} does not fold: ${String(error)}` }];
  }
}

class RunAudit {
  readonly findings: Finding[] = [];
  private readonly ids = new Set<string>();
  private readonly timers = new Map<string, { dueAtMs: number; open: boolean }>();
  private readonly recordedCalls = new Set<string>();
  private readonly signals = new Set<string>();
  private epoch = 0;
  private branch = 0;
  private seq = 0;
  private ended: string | undefined;

  constructor(private readonly options: RunAuditOptions) {}

  see(event: RecordedEvent): void {
    const found = (invariant: string, message: string): void => {
      this.findings.push({ invariant, message: `${event.stream}@${event.revision} ${event.type}: ${message}` });
    };
    if (this.ids.has(event.id)) found('I1', 'its id stands in the stream twice');
    this.ids.add(event.id);
    if (this.ended !== undefined) found('I13', `follows the end, ${this.ended}`);
    if ((TERMINAL_EVENT_TYPES as readonly string[]).includes(event.type)) this.ended = event.type;
    this.seeEpoch(event, found);
    this.seeTimer(event, found);
    if (event.type === 'RunRewound' || event.type === 'RunContinued') this.seeBranch(event, found);
    this.seeResult(event, found);
    this.seeSignal(event, found);
  }

  private seeEpoch({ type, data, metadata }: RecordedEvent, found: (invariant: string, message: string) => void): void {
    if (type === 'RunAssigned') {
      const { epoch } = data as { epoch: number };
      if (epoch !== this.epoch + 1) found('I4', `epoch ${epoch} follows epoch ${this.epoch}`);
      this.epoch = epoch;
      this.seq = 0;
    }
    const report = (metadata as { report?: Report } | null)?.report;
    if (report === undefined) return;
    if (report.epoch < this.epoch)
      found('I4', `a worker of epoch ${report.epoch} wrote it after the assignment of epoch ${this.epoch}`);
    if (report.seq !== this.seq && report.seq !== this.seq + 1) found('I4', `report ${report.seq} follows report ${this.seq}`);
    this.seq = report.seq;
  }

  private seeTimer({ type, data, recordedAtMs }: RecordedEvent, found: (invariant: string, message: string) => void): void {
    const { timerId, dueAtMs } = data as { timerId?: string; dueAtMs?: number };
    if (timerId === undefined) return;
    const timer = this.timers.get(timerId);
    if (type === 'TimerSet') {
      if (timer !== undefined) found('I5', `the timer ${timerId} is set twice`);
      this.timers.set(timerId, { dueAtMs: dueAtMs ?? 0, open: true });
      return;
    }
    if (timer?.open !== true) found('I5', `the timer ${timerId} is not open`);
    else timer.open = false;
    const earlyMs = (timer?.dueAtMs ?? 0) - recordedAtMs;
    if (type === 'TimerFired' && earlyMs > this.options.clockSkewMs)
      found('I5', `the timer ${timerId} fired ${earlyMs} ms before it was due`);
  }

  /** What is done after it is done in another branch: calls and their results begin anew. */
  private seeBranch({ data, metadata }: RecordedEvent, found: (invariant: string, message: string) => void): void {
    const { branch } = data as { readonly branch: number };
    const said = (metadata as { readonly branch?: number } | null)?.branch;
    if (branch !== this.branch + 1) found('I2', `branch ${branch} follows branch ${this.branch}`);
    if (said !== branch) found('I2', `it is of branch ${branch}, and says of itself ${said}`);
    this.branch = branch;
    this.recordedCalls.clear();
  }

  private seeSignal({ type, data }: RecordedEvent, found: (invariant: string, message: string) => void): void {
    if (type !== 'SignalReceived') return;
    const { commandId } = data as { readonly commandId: string };
    if (this.signals.has(commandId)) found('I1', `the signal ${commandId} was taken twice`);
    this.signals.add(commandId);
  }

  private seeResult({ type, data }: RecordedEvent, found: (invariant: string, message: string) => void): void {
    for (const call of endedCalls(type, data as Data)) {
      if (this.recordedCalls.has(call)) found('I3', `the call ${call} has its result twice`);
      this.recordedCalls.add(call);
    }
  }
}

/** Calls whose result this fact records, for good. That an inbound fact was given to the code is recorded apart, and once, too. */
function endedCalls(type: string, data: Data): readonly string[] {
  if (type === 'StepsRecorded') {
    const entries = data['entries'] as readonly { readonly type: string; readonly call: string }[];
    return entries.map((entry) => (entry.type === 'delivered' ? `${entry.call} (delivered)` : entry.call));
  }
  if (type === 'EffectConfirmed' || type === 'ModelCallCompleted') return [String(data['call'])];
  const isFailure = type === 'EffectFailed' || type === 'ModelCallFailed';
  return isFailure && data['retryAtMs'] === undefined ? [String(data['call'])] : [];
}
