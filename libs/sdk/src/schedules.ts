import { token, type Bus, type Host, type Token } from '@perdure/kernel';
import {
  firingList,
  NEXT_TIMES_MAX,
  scheduleAddress,
  scheduleChanged,
  scheduleList,
  scheduleRequestSubject,
  schedulesSubject,
  scheduleView,
  type FiringList,
  type OverlapPolicy,
  type ScheduleChanged,
  type ScheduleEnvelopeInput,
  type ScheduleList,
  type ScheduleSpecInput,
  type SchedulesRequestInput,
  type ScheduleView,
} from '@perdure/schedule-contract';
import { checkInput } from './check-input';
import { ask } from './engine/ask';
import type { Behaviour } from './engine/definitions';
import { serialise } from './engine/outcome';

export interface SchedulesOptions {
  readonly tenant: Token;
  /** Who asks: the runs of a schedule belong to whoever said what it starts. */
  readonly by: string;
  /** How long a request is repeated while nobody answers. */
  readonly patienceMs: number;
}

/** What a schedule is; `start.name` may be the agent or workflow itself, whose input is then checked. */
export type ScheduleDefinition = Omit<ScheduleSpecInput, 'start'> & {
  readonly start: Omit<ScheduleSpecInput['start'], 'name'> & { readonly name: string | Behaviour };
};

const REQUEST_TIMEOUT_MS = 2_000;
/** The owner reads the log, or the owners of many schedules are asked. */
const LIST_TIMEOUT_MS = 10_000;

/** Runs that are started by the calendar. */
export class Schedules {
  constructor(
    private readonly ports: { readonly bus: Bus; readonly host: Host },
    private readonly options: SchedulesOptions,
  ) {}

  /**
   * The same again changes nothing.
   * @throws Terminal `ScheduleAlreadyExists` for another one of this id, `InvalidCron`, `UnknownTimeZone`, `InvalidDate`, `NeverFires`,
   *   `InvalidInput` for an input that does not fit the behaviour given
   */
  async create(scheduleId: string, definition: ScheduleDefinition): Promise<ScheduleChanged> {
    return this.change(scheduleId, { type: 'CreateSchedule', spec: await specOf(definition) });
  }

  /**
   * Gives it a whole new definition. With `version`, only if nobody has changed it since that was read.
   * @throws Terminal `ScheduleNotFound`, `ScheduleChanged`, and as `create`
   */
  async update(
    scheduleId: string,
    definition: ScheduleDefinition,
    { version, note }: { readonly version?: number; readonly note?: string } = {},
  ): Promise<ScheduleChanged> {
    const spec = await specOf(definition);
    return this.change(scheduleId, {
      type: 'UpdateSchedule',
      spec,
      ...(version === undefined ? {} : { version }),
      ...said(note),
    });
  }

  /** How it stands, with its next times and its newest firings. @throws Terminal `ScheduleNotFound` */
  async get(scheduleId: string, { next }: { readonly next?: number } = {}): Promise<ScheduleView> {
    return scheduleView.parse(await this.ask(scheduleId, { type: 'GetSchedule', ...(next === undefined ? {} : { next }) }));
  }

  /** In the order of their ids; the next page is after `next` of this one. @throws Retryable `SchedulesIncomplete` */
  async list(wanted: { readonly after?: string; readonly limit?: number } = {}): Promise<ScheduleList> {
    const request: SchedulesRequestInput = { v: 1, command: { type: 'ListSchedules', ...wanted } };
    return scheduleList.parse(await this.send(schedulesSubject.build(this.options.tenant), request, LIST_TIMEOUT_MS));
  }

  /** Its next times, and when each fires: later by its jitter. */
  async next(scheduleId: string, count = NEXT_TIMES_MAX): Promise<ScheduleView['next']> {
    return (await this.get(scheduleId, { next: count })).next;
  }

  /** What has become of its times, newest first. @throws Terminal `ScheduleNotFound` */
  async firings(scheduleId: string, limit?: number): Promise<FiringList> {
    const command = { type: 'ListFirings' as const, ...(limit === undefined ? {} : { limit }) };
    return firingList.parse(await this.ask(scheduleId, command, { timeoutMs: LIST_TIMEOUT_MS }));
  }

  /** Times while it is paused are none. What is under way goes on. */
  pause(scheduleId: string, note?: string): Promise<ScheduleChanged> {
    return this.change(scheduleId, { type: 'PauseSchedule', ...said(note) });
  }

  resume(scheduleId: string, note?: string): Promise<ScheduleChanged> {
    return this.change(scheduleId, { type: 'ResumeSchedule', ...said(note) });
  }

  /** What is under way goes on; what waits is dropped. */
  delete(scheduleId: string, note?: string): Promise<ScheduleChanged> {
    return this.change(scheduleId, { type: 'DeleteSchedule', ...said(note) });
  }

  /** Starts a run now, whatever its times are; the answer has no `runId` when its policy let the run wait, or skipped it. */
  trigger(
    scheduleId: string,
    { overlap, id }: { readonly overlap?: OverlapPolicy; readonly id?: string } = {},
  ): Promise<ScheduleChanged> {
    return this.change(scheduleId, { type: 'RunNow', ...(overlap === undefined ? {} : { overlap }) }, id);
  }

  /** Its times of the past, both ends included, again. @throws Terminal `InvalidBackfill`, `TooManyBackfills` */
  backfill(
    scheduleId: string,
    { from, to, overlap, id }: { readonly from: Date; readonly to: Date; readonly overlap?: OverlapPolicy; readonly id?: string },
  ): Promise<ScheduleChanged> {
    const times = { fromMs: from.getTime(), toMs: to.getTime() };
    return this.change(scheduleId, { type: 'Backfill', ...times, ...(overlap === undefined ? {} : { overlap }) }, id);
  }

  private async change(scheduleId: string, command: ScheduleEnvelopeInput['command'], id?: string): Promise<ScheduleChanged> {
    return scheduleChanged.parse(await this.ask(scheduleId, command, id === undefined ? {} : { id }));
  }

  private ask(
    scheduleId: string,
    command: ScheduleEnvelopeInput['command'],
    { id = this.ports.host.entropy.uuid(), timeoutMs = REQUEST_TIMEOUT_MS } = {},
  ): Promise<unknown> {
    const { tenant, by } = this.options;
    const envelope: ScheduleEnvelopeInput = { v: 1, id, actor: { kind: 'user', id: by }, command };
    const address = scheduleAddress(tenant, token(scheduleId, 'schedule id'));
    return this.send(scheduleRequestSubject.build(address), envelope, timeoutMs);
  }

  private send(subject: string, request: object, timeoutMs: number): Promise<unknown> {
    const untilMs = this.ports.host.clock.monotonicMs() + this.options.patienceMs;
    return ask(this.ports, { subject, payload: JSON.stringify(request), timeoutMs, untilMs });
  }
}

async function specOf({ start, ...rest }: ScheduleDefinition): Promise<ScheduleSpecInput> {
  const { name: what, input, ...how } = start;
  if (typeof what !== 'string') await checkInput(what, input);
  const known = typeof what === 'string' ? { name: what } : { name: what.name, kind: what.kind, pool: what.pool };
  const plain = { ...known, ...how, input: serialise(input, 'The input').value };
  return { ...rest, start: plain } as ScheduleSpecInput;
}

function said(note: string | undefined): { readonly note?: string } {
  return note === undefined ? {} : { note };
}
