import { errorRecordOf, PerdureError, Terminal, type BusMessage, type Host } from '@perdure/kernel';
import {
  schedulePartitionSubject,
  type FiringList,
  type ScheduleAddress,
  type ScheduleChanged,
  type ScheduleEnvelope,
  type ScheduleView,
} from '@perdure/schedule-contract';
import {
  runIdOf,
  scheduleViewOf,
  type DecidedCommand,
  type KnownSchedule,
  type ScheduleRules,
  type ScheduleState,
} from '@perdure/schedule-domain';
import { parseRequest } from './request';
import type { Judged } from './schedule.actor';

export interface DeskPorts {
  readonly host: Host;
  fresh(address: ScheduleAddress): Promise<ScheduleState>;
  firings(address: ScheduleAddress, limit: number): Promise<FiringList>;
  judge(
    address: ScheduleAddress,
    asked: { readonly command: DecidedCommand; readonly id: string; readonly by: string },
  ): Promise<Judged>;
  rulesOf(address: ScheduleAddress): ScheduleRules;
}

/** Answers what is asked of schedules. */
export class ScheduleDesk {
  constructor(private readonly ports: DeskPorts) {}

  async onRequest(message: BusMessage): Promise<void> {
    try {
      const value = await this.perform(schedulePartitionSubject.parse(message.subject), parseRequest(message.payload));
      message.respond(JSON.stringify({ ok: true, value }));
    } catch (error) {
      if (!(error instanceof PerdureError))
        this.ports.host.log.error('a request to a schedule failed', { subject: message.subject, reason: String(error) });
      message.respond(JSON.stringify({ ok: false, error: errorRecordOf(error) }));
    }
  }

  private async perform(
    address: ScheduleAddress,
    { id, actor, command }: ScheduleEnvelope,
  ): Promise<ScheduleView | FiringList | ScheduleChanged> {
    if (command.type === 'ListFirings') {
      knownOf(address, await this.ports.fresh(address));
      return this.ports.firings(address, command.limit);
    }
    if (command.type === 'GetSchedule') {
      const known = knownOf(address, await this.ports.fresh(address));
      return scheduleViewOf(this.ports.rulesOf(address), known, { ...address, next: command.next });
    }
    const judged = await this.ports.judge(address, { command, id, by: actor.id });
    if (!judged.accepted) throw PerdureError.fromRecord(judged.rejection);
    const state = knownOf(address, judged.state);
    const runId = command.type === 'RunNow' ? this.startedNow(address, state, id) : undefined;
    return { scheduleId: address.scheduleId, version: state.version, ...(runId === undefined ? {} : { runId }) };
  }

  /** Absent when the policy has skipped it, or it waits. */
  private startedNow(address: ScheduleAddress, state: KnownSchedule, id: string): string | undefined {
    const runId = runIdOf(this.ports.rulesOf(address), state, { nominalAtMs: 0, cause: { by: 'run-now', id } });
    const isThere = [...state.open, ...state.recent].some((firing) => firing.runId === runId);
    return isThere ? runId : undefined;
  }
}

/** @throws Terminal `ScheduleNotFound` */
function knownOf({ scheduleId }: ScheduleAddress, state: ScheduleState): KnownSchedule {
  if (state.status !== 'none') return state;
  throw new Terminal('ScheduleNotFound', `There is no schedule ${scheduleId}. Create it, or see the list of schedules.`);
}
