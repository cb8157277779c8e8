import { isToken, Terminal, token, type Bus, type Host } from '@perdure/kernel';
import {
  firingList,
  scheduleAddress,
  scheduleChanged,
  scheduleList,
  scheduleRequestSubject,
  schedulesSubject,
  scheduleView,
  type FiringList,
  type ScheduleAddress,
  type ScheduleChanged,
  type ScheduleEnvelopeInput,
  type ScheduleList,
  type SchedulesRequestInput,
  type ScheduleView,
} from '@perdure/schedule-contract';
import { askUntilAnswered } from './run-requests';

type Command = ScheduleEnvelopeInput['command'];
type Query = Extract<Command, { readonly type: 'GetSchedule' | 'ListFirings' }>;
export type ScheduleChange = Exclude<Command, Query>;

const REQUEST_TIMEOUT_MS = 2_000;
/** The owner reads the log, or the owners of many schedules are asked. */
const LIST_TIMEOUT_MS = 10_000;

/** Sends what is asked of schedules to their owners, and repeats it until it is answered. */
export class ScheduleRequests {
  constructor(
    private readonly bus: Bus,
    private readonly host: Host,
  ) {}

  /** `id`: the same again is the same command. */
  async change(
    address: ScheduleAddress,
    command: ScheduleChange,
    { by, id }: { readonly by: string; readonly id?: string | undefined },
  ): Promise<ScheduleChanged> {
    return scheduleChanged.parse(await this.send(address, command, { by, ...(id === undefined ? {} : { id }) }));
  }

  async get(address: ScheduleAddress, next?: number): Promise<ScheduleView> {
    const command = { type: 'GetSchedule' as const, ...(next === undefined ? {} : { next }) };
    return scheduleView.parse(await this.send(address, command, {}));
  }

  async firings(address: ScheduleAddress, limit: number): Promise<FiringList> {
    return firingList.parse(await this.send(address, { type: 'ListFirings', limit }, { timeoutMs: LIST_TIMEOUT_MS }));
  }

  async list(
    tenant: string,
    { after, limit }: { readonly after?: string | undefined; readonly limit: number },
  ): Promise<ScheduleList> {
    const command = { type: 'ListSchedules' as const, limit, ...(after === undefined ? {} : { after }) };
    const request: SchedulesRequestInput = { v: 1, command };
    const subject = schedulesSubject.build(token(tenant, 'tenant'));
    return scheduleList.parse(await this.ask(subject, request, LIST_TIMEOUT_MS));
  }

  private send(
    address: ScheduleAddress,
    command: Command,
    { by = 'gateway', id = this.host.entropy.uuid(), timeoutMs = REQUEST_TIMEOUT_MS },
  ): Promise<unknown> {
    const envelope: ScheduleEnvelopeInput = { v: 1, id, actor: { kind: 'user', id: by }, command };
    return this.ask(scheduleRequestSubject.build(address), envelope, timeoutMs);
  }

  private ask(subject: string, request: object, timeoutMs: number): Promise<unknown> {
    return askUntilAnswered(this.bus, this.host, { subject, payload: JSON.stringify(request), timeoutMs });
  }
}

/** @throws Terminal `ScheduleNotFound`: what cannot be an id is the id of no schedule */
export function scheduleAddressOf(tenant: string, scheduleId: string): ScheduleAddress {
  if (!isToken(scheduleId) || !isToken(tenant))
    throw new Terminal(
      'ScheduleNotFound',
      `There is no schedule ${scheduleId.slice(0, 80)} of tenant ${tenant.slice(0, 80)}. See the list at /v1/schedules.`,
    );
  return scheduleAddress(tenant, scheduleId);
}
