import type { Cancel, Host } from '@perdure/kernel';
import type { RunAddress } from '@perdure/run-contract';
import { untoldTrials, type DomainCommand } from '@perdure/run-domain';
import type { Judged } from './run.actor';

/** A line says how many there were since the one before: whoever floods fills the log of a service no more than that of a run. */
const LINE_EVERY_MS = 10_000;

/** Counts what is tried against approvals beyond what runs tell of it, so that an operator sees it. */
export class UntoldRefusals {
  private sinceStart = 0;
  private sinceLine = 0;
  private newest: RunAddress | undefined;
  private cancelPause: Cancel | undefined;

  constructor(private readonly host: Pick<Host, 'timers' | 'log'>) {}

  /** What came of a command. */
  see(address: RunAddress, command: DomainCommand, judged: Judged): void {
    const untold = untoldIn(command, judged);
    if (untold === 0) return;
    this.sinceStart += untold;
    this.sinceLine += untold;
    this.newest = address;
    if (this.cancelPause === undefined) this.tell();
  }

  stop(): void {
    this.cancelPause?.();
  }

  private tell(): void {
    this.cancelPause = undefined;
    const { sinceLine, sinceStart, newest } = this;
    if (sinceLine === 0) return;
    this.sinceLine = 0;
    this.host.log.warn('attempts to get around approvals are refused, and no longer told in the log of their run', {
      ...newest,
      refused: sinceLine,
      sinceStart,
    });
    this.cancelPause = this.host.timers.after(LINE_EVERY_MS, () => this.tell());
  }
}

function untoldIn(command: DomainCommand, judged: Judged): number {
  if (!judged.accepted) return judged.rejection.details?.['untold'] === true ? 1 : 0;
  if (command.type === 'RecordProgress') return untoldTrials(command.entries, judged.state);
  if (command.type === 'ClaimEffect') return untoldTrials([{ type: 'effect-claimed', call: command.call }], judged.state);
  return 0;
}
