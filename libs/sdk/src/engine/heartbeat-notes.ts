import { errorRecordOf, fitsInto, type Cancel, type Host } from '@perdure/kernel';
import { HEARTBEAT_BYTES_MAX } from '@perdure/run-contract';
import { HEARTBEAT_NOTED_EVERY_MS } from './bounds';
import { effectProgressedEntry } from './entries';
import { serialise } from './outcome';

/** What is known and said of how far the execution of an effect is. */
export interface Progress {
  /** Said by an execution before. */
  readonly last: unknown;
  /** `detail`: JSON text. */
  record(detail: string): void;
}

export function progressOf(
  port: { note(entry: string): void },
  of: { readonly call: string; readonly attempt: number; readonly lastHeartbeat?: unknown },
): Progress {
  const { call, attempt, lastHeartbeat } = of;
  return { last: lastHeartbeat, record: (detail) => port.note(effectProgressedEntry(call, attempt, detail)) };
}

/**
 * Records what a tool says of how far it is: the first at once, and then the newest, every few seconds at most. What was said
 * last is recorded with a failure, for whoever tries again.
 */
export class HeartbeatNotes {
  private unsent: string | undefined;
  private cancelPause: Cancel | undefined;
  private isOver = false;

  constructor(
    private readonly host: Host,
    private readonly of: { readonly tool: string; readonly progress: Progress },
  ) {}

  /** @throws RangeError `InvalidHeartbeat` */
  add(detail: unknown): void {
    if (detail === undefined || this.isOver) return;
    this.unsent = checked(this.of.tool, detail);
    if (this.cancelPause === undefined) this.send();
  }

  end(hasFailed: boolean): void {
    this.isOver = true;
    this.cancelPause?.();
    if (hasFailed && this.unsent !== undefined) this.of.progress.record(this.unsent);
  }

  private send(): void {
    this.cancelPause = undefined;
    if (this.unsent === undefined) return;
    this.of.progress.record(this.unsent);
    this.unsent = undefined;
    this.cancelPause = this.host.timers.after(HEARTBEAT_NOTED_EVERY_MS, () => this.send());
  }
}

/** Not an error of ours by its class: thrown within an effect, those say that nothing has happened. */
function checked(tool: string, detail: unknown): string {
  const what = `What ${tool} says with heartbeat()`;
  let text: string;
  try {
    ({ text } = serialise(detail, what));
  } catch (error) {
    throw refused(errorRecordOf(error).message);
  }
  if (fitsInto(HEARTBEAT_BYTES_MAX, text)) return text;
  throw refused(`${what} is larger than ${HEARTBEAT_BYTES_MAX} bytes: say a position or a reference, and not the work itself.`);
}

function refused(message: string): Error {
  return Object.assign(new RangeError(message), { code: 'InvalidHeartbeat' });
}
