import type { RecordedEvent } from '@perdure/kernel';
import { TERMINAL_EVENT_TYPES } from '@perdure/run-contract';
import type { Finding } from './run-audit';

type Data = Readonly<Record<string, unknown>>;

const ENDS_AS: Readonly<Record<string, string>> = { RunFailed: 'failed', RunCancelled: 'cancelled', RunTimedOut: 'timed-out' };

/** I13 for what a run has done: undone newest first, one at a time, confirmed at most once, and never forgotten. */
export function auditUndo(events: readonly RecordedEvent[]): readonly Finding[] {
  const audit = new UndoAudit();
  for (const event of events) audit.see(event);
  return audit.findings;
}

class UndoAudit {
  readonly findings: Finding[] = [];
  private readonly undoable = new Set<string>();
  /** Confirmed or registered and not undone; oldest first. */
  private left: string[] = [];
  private readonly undone = new Set<string>();
  private underWay: string | undefined;
  private confirmed: string | undefined;
  private outcome: string | undefined;
  private branch = 0;

  see(event: RecordedEvent): void {
    const data = event.data as Data;
    const call = String(data['call'] ?? '');
    const found = (message: string): void =>
      void this.findings.push({ invariant: 'I13', message: `${event.stream}@${event.revision} ${event.type}: ${message}` });
    if ((TERMINAL_EVENT_TYPES as readonly string[]).includes(event.type)) return this.seeEnd(event.type, found);
    switch (event.type) {
      case 'EffectIntended':
        if (data['undoes'] !== undefined) return this.seeUndo(call, String(data['undoes']), found);
        if (this.outcome !== undefined) found(`${call} begins while the run ends as ${this.outcome}`);
        if (data['compensation'] !== undefined) this.undoable.add(call);
        return;
      case 'ModelCallIntended':
        if (this.outcome !== undefined) found(`${call} begins while the run ends as ${this.outcome}`);
        return;
      case 'EffectConfirmed':
        if (this.undoable.has(call)) this.left.push(this.nameOf(call));
        if (call === this.underWay) this.confirmed = call;
        return;
      case 'UndoRegistered':
        this.left.push(this.nameOf(call));
        return;
      case 'RunContinued':
        this.left = [];
        this.branch = Number(data['branch']);
        this.undoable.clear();
        return;
      case 'RunRewound':
        this.branch = Number(data['branch']);
        this.undoable.clear();
        return;
      case 'RunEnding':
        if (this.outcome !== undefined) found(`it ended as ${this.outcome} before`);
        this.outcome = String((data['outcome'] as Data)['status']);
        return;
      case 'EffectCompensated':
        if (this.confirmed !== String(data['undo'])) found(`nothing says that ${String(data['undo'])} has happened`);
        return this.settle(call, found);
      case 'EffectNotCompensated':
        return this.settle(call, found);
    }
  }

  /** Calls of different branches share their names. */
  private nameOf(call: string): string {
    return this.branch === 0 ? call : `b${this.branch}-${call}`;
  }

  private seeUndo(call: string, undoes: string, found: (message: string) => void): void {
    if (this.outcome === undefined) found(`${call} undoes ${undoes} in a run that has not begun to end`);
    if (this.underWay !== undefined) found(`${call} begins while ${this.underWay} is under way`);
    if (this.left.at(-1) !== undoes) found(`${call} undoes ${undoes}, and the newest is ${this.left.at(-1) ?? 'none'}`);
    this.underWay = call;
    this.confirmed = undefined;
  }

  private settle(call: string, found: (message: string) => void): void {
    if (this.undone.has(call)) found(`it was told before what became of ${call}`);
    if (!this.left.includes(call)) found(`${call} is not to be undone`);
    this.undone.add(call);
    this.left = this.left.filter((other) => other !== call);
    this.underWay = undefined;
  }

  private seeEnd(type: string, found: (message: string) => void): void {
    const endsAs = ENDS_AS[type];
    if (endsAs === undefined) return;
    if (this.outcome !== undefined && this.outcome !== endsAs) found(`it was to end as ${this.outcome}`);
    if (this.outcome === undefined && this.left.length > 0) found(`nothing undoes ${this.left.join(', ')}`);
  }
}
