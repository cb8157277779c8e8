import { RunCommands } from '@perdure/keeper-application';
import type { Bus, ErrorRecord, Host } from '@perdure/kernel';
import { runStream } from '@perdure/run-contract';
import type { OpenTimer } from '@perdure/timer-contract';

/** Requests under way at once: 256 at 5 ms each are 50,000 a second, and no more than a burst for any owner. */
export const FIRING_MAX = 256;
const REQUEST_TIMEOUT_MS = 1_000;
const REPEAT_FIRST_MS = 50;
const REPEAT_MAX_MS = 1_000;
/** A refusal that nobody has thought of: said loudly, and tried again at leisure. */
const UNKNOWN_REFUSAL_MS = 10_000;

/** `closed`: there is nothing more to do for it. */
export type FiringOutcome = { readonly closed: true } | { readonly againInMs: number };

/** Says to owners that a time has come; the envelope of a timer is made once and repeated as it is. */
export class Firing {
  private readonly commands: RunCommands;
  private readonly unanswered = new Map<OpenTimer, { readonly envelope: string; readonly waitMs: number }>();
  private underWay = 0;

  constructor(private readonly ports: { readonly bus: Bus; readonly host: Host }) {
    this.commands = new RunCommands(ports, 'timers');
  }

  get count(): number {
    return this.underWay;
  }

  get hasRoom(): boolean {
    return this.underWay < FIRING_MAX;
  }

  async fire(timer: OpenTimer): Promise<FiringOutcome> {
    const before = this.unanswered.get(timer);
    const envelope = before?.envelope ?? this.commands.envelope({ type: 'FireTimer', timerId: timer.id });
    this.underWay += 1;
    const reply = await this.commands.send(runStream.parse(timer.group), envelope, REQUEST_TIMEOUT_MS);
    this.underWay -= 1;
    this.ports.host.crashPoint('timer.answered');
    if (reply.status === 'accepted') return this.closed(timer);
    const waitMs = Math.min((before?.waitMs ?? REPEAT_FIRST_MS / 2) * 2, REPEAT_MAX_MS);
    this.unanswered.set(timer, { envelope, waitMs });
    return reply.status === 'unanswered' ? { againInMs: waitMs } : this.refused(timer, reply.error, waitMs);
  }

  forget(timer: OpenTimer): void {
    this.unanswered.delete(timer);
  }

  private refused(timer: OpenTimer, error: ErrorRecord, waitMs: number): FiringOutcome {
    switch (error.code) {
      case 'TimerUnknown':
      case 'RunAlreadyEnded':
      case 'RunNotFound':
        return this.closed(timer);
      case 'TimerNotDue':
        // Our clock is ahead of the owner's, whose word counts.
        return { againInMs: Math.max(1, error.retryAfterMs ?? waitMs) };
      default:
        if (error.reaction === 'retryable') return { againInMs: Math.max(error.retryAfterMs ?? 0, waitMs) };
        this.ports.host.log.error('a timer was refused for an unknown reason; it will be tried again', {
          stream: timer.group,
          timerId: timer.id,
          code: error.code,
          message: error.message,
        });
        return { againInMs: UNKNOWN_REFUSAL_MS };
    }
  }

  private closed(timer: OpenTimer): FiringOutcome {
    this.forget(timer);
    return { closed: true };
  }
}
