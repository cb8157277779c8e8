import { RunCommands } from '@perdure/keeper-application';
import { delay, type Bus, type Host } from '@perdure/kernel';
import { runAddress, runView, startAnswer, type CommandEnvelopeInput } from '@perdure/run-contract';
import { scheduleStream, type FiringResult, type ScheduleAddress } from '@perdure/schedule-contract';
import type { DecidedCommand, RunEffect } from '@perdure/schedule-domain';

// What schedules have the owners of runs do.
//
// 1. An errand is run until there is an answer; its envelope is made once, and a start is one by its run id.
// 2. What a run's owner says comes back as a command to the schedule.
// 3. So many are under way at once: what an outage has left goes out at the rate at which owners answer.

/** At 5 ms each some 10,000 starts a second, and no more than a burst for any owner. */
export const ERRANDS_MAX = 64;
const REQUEST_TIMEOUT_MS = 1_000;
const REPEAT_FIRST_MS = 50;
const REPEAT_MAX_MS = 2_000;

export interface ErrandPorts {
  readonly bus: Bus;
  readonly host: Host;
  /** False = it is not this instance's business any more. */
  isWanted(address: ScheduleAddress, effect: RunEffect): boolean;
  decide(address: ScheduleAddress, command: DecidedCommand): Promise<void>;
}

export class RunErrands {
  private readonly underWay = new Set<string>();
  private readonly queue: (() => void)[] = [];
  private running = 0;
  private readonly commands: RunCommands;

  constructor(private readonly ports: ErrandPorts) {
    this.commands = new RunCommands(ports, 'schedules');
  }

  run(address: ScheduleAddress, effect: RunEffect): void {
    const key = `${scheduleStream.build(address)}/${effect.type}/${effect.runId}`;
    if (this.underWay.has(key)) return;
    this.underWay.add(key);
    void this.repeat(address, effect).finally(() => this.underWay.delete(key));
  }

  private async repeat(address: ScheduleAddress, effect: RunEffect): Promise<void> {
    const envelope = this.envelopeOf(effect);
    for (let waitMs = REPEAT_FIRST_MS; this.ports.isWanted(address, effect); waitMs = Math.min(2 * waitMs, REPEAT_MAX_MS)) {
      try {
        if (await this.inLine(() => this.ask(address, effect, envelope))) return;
      } catch (error) {
        this.ports.host.log.warn('an errand of a schedule failed; it will be tried again', {
          ...address,
          runId: effect.runId,
          reason: String(error),
        });
      }
      await delay(this.ports.host, waitMs);
    }
  }

  /** A run belongs to whoever has said what is started, so that nobody approves what is of their own. */
  private envelopeOf(effect: RunEffect): string {
    if (effect.type === 'CancelRun')
      return this.commands.envelope({ type: 'CancelRun', reason: 'its schedule starts the next one' });
    const { start, by } = effect.ordered;
    const envelope: CommandEnvelopeInput = {
      v: 1,
      id: this.ports.host.entropy.uuid(),
      actor: { kind: 'user', id: by },
      command: { type: 'StartRun', ...start },
    };
    return JSON.stringify(envelope);
  }

  /** @returns whether there was an answer */
  private async ask(address: ScheduleAddress, effect: RunEffect, envelope: string): Promise<boolean> {
    const { runId } = effect;
    const reply = await this.commands.send(runAddress(address.tenant, runId), envelope, REQUEST_TIMEOUT_MS);
    this.ports.host.crashPoint('schedule.answered');
    if (reply.status === 'unanswered') return false;
    if (reply.status === 'refused' && reply.error.reaction === 'retryable') return false;
    if (effect.type === 'CancelRun') await this.ports.decide(address, { type: 'NoteCancelRequested', runId });
    else if (reply.status === 'refused') await this.ports.decide(address, { type: 'NoteRefused', runId, error: reply.error });
    else return this.started(address, runId, startAnswer.parse(reply.value).started);
    return true;
  }

  /** One that was there before may have ended before anybody waited for it. */
  private async started(address: ScheduleAddress, runId: string, isNew: boolean): Promise<boolean> {
    if (!isNew) {
      const envelope = this.commands.envelope({ type: 'GetRun' });
      const reply = await this.commands.send(runAddress(address.tenant, runId), envelope, REQUEST_TIMEOUT_MS);
      if (reply.status !== 'accepted') return false;
      const result: FiringResult | undefined = runView.pick({ outcome: true }).parse(reply.value).outcome?.status;
      if (result !== undefined) {
        await this.ports.decide(address, { type: 'EndFiring', runId, result });
        return true;
      }
    }
    await this.ports.decide(address, { type: 'NoteStarted', runId });
    return true;
  }

  private async inLine<T>(task: () => Promise<T>): Promise<T> {
    if (this.running >= ERRANDS_MAX) await new Promise<void>((resolve) => this.queue.push(resolve));
    else this.running += 1;
    try {
      return await task();
    } finally {
      const next = this.queue.shift();
      if (next === undefined) this.running -= 1;
      else next();
    }
  }
}
