import type { Bus, Host, Json, Keeper, RecordedEvent } from '@perdure/kernel';
import { RunCommands } from '@perdure/keeper-application';
import { runStream, TERMINAL_EVENT_TYPES } from '@perdure/run-contract';

/** Keeps due times in memory, from the log alone. */
export class TimerKeeper implements Keeper {
  readonly name = 'timers';
  readonly eventTypes = ['TimerSet', 'TimerFired', 'TimerCancelled', ...TERMINAL_EVENT_TYPES];
  private readonly open = new Map<string, number>();
  private readonly commands: RunCommands;

  constructor(private readonly ports: { readonly bus: Bus; readonly host: Host }) {
    this.commands = new RunCommands(ports, 'timers');
  }

  restore(index: Json | undefined): void {
    this.open.clear();
    for (const [key, due] of (index ?? []) as unknown as [string, number][]) this.set(key, due);
  }

  snapshot(): Json {
    return [...this.open];
  }

  apply(fact: RecordedEvent): void {
    const { timerId, dueAtMs } = fact.data as { timerId?: string; dueAtMs?: number };
    if (fact.type === 'TimerSet') return this.set(`${fact.stream} ${timerId}`, dueAtMs ?? 0);
    if (timerId !== undefined) this.open.delete(`${fact.stream} ${timerId}`);
    else for (const key of [...this.open.keys()]) if (key.startsWith(`${fact.stream} `)) this.open.delete(key);
  }

  private set(key: string, dueAtMs: number): void {
    this.open.set(key, dueAtMs);
    this.wait(key, dueAtMs - this.ports.host.clock.nowMs());
  }

  private wait(key: string, delayMs: number): void {
    this.ports.host.timers.after(Math.max(0, delayMs), () => void this.fire(key));
  }

  private async fire(key: string): Promise<void> {
    if (!this.open.has(key)) return;
    const [stream = '', timerId = ''] = key.split(' ');
    const reply = await this.commands.send(runStream.parse(stream), this.commands.envelope({ type: 'FireTimer', timerId }), 1_000);
    if (reply.status === 'accepted' || (reply.status === 'refused' && reply.error.reaction === 'terminal')) return;
    this.wait(key, reply.status === 'refused' ? (reply.error.retryAfterMs ?? 100) : 200);
  }
}
