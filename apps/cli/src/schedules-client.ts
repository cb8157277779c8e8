import type {
  FiringList,
  OverlapPolicy,
  ScheduleChanged,
  ScheduleList,
  ScheduleSpecInput,
  ScheduleView,
} from '@perdure/schedule-contract';
import type { GatewayClient } from './gateway-client';

/** Who says it, and why. */
export interface Noted {
  readonly by: string;
  readonly note?: string;
}

interface Asked {
  readonly by: string;
  readonly overlap?: OverlapPolicy;
  /** The same id again is the same request. */
  readonly id?: string;
}

/** What the gateway offers about schedules. */
export class SchedulesClient {
  constructor(private readonly http: GatewayClient) {}

  create(scheduleId: string, spec: ScheduleSpecInput, by: string): Promise<ScheduleChanged> {
    return this.http.post('/v1/schedules', { scheduleId, spec, by });
  }

  update(scheduleId: string, spec: ScheduleSpecInput, said: Noted & { readonly version?: number }): Promise<ScheduleChanged> {
    return this.http.post(`${pathOf(scheduleId)}/update`, { spec, ...said });
  }

  get(scheduleId: string, next?: number): Promise<ScheduleView> {
    return this.http.ask('GET', pathOf(scheduleId), { next });
  }

  list(query: { readonly after?: string; readonly limit?: number }): Promise<ScheduleList> {
    return this.http.ask('GET', '/v1/schedules', query);
  }

  next(scheduleId: string, limit?: number): Promise<Pick<ScheduleView, 'status' | 'next'>> {
    return this.http.ask('GET', `${pathOf(scheduleId)}/next`, { limit });
  }

  firings(scheduleId: string, limit?: number): Promise<FiringList> {
    return this.http.ask('GET', `${pathOf(scheduleId)}/firings`, { limit });
  }

  control(verb: 'pause' | 'resume' | 'delete', scheduleId: string, said: Noted): Promise<ScheduleChanged> {
    return this.http.post(`${pathOf(scheduleId)}/${verb}`, said);
  }

  trigger(scheduleId: string, asked: Asked): Promise<ScheduleChanged> {
    return this.http.post(`${pathOf(scheduleId)}/trigger`, asked);
  }

  backfill(scheduleId: string, asked: Asked & { readonly fromMs: number; readonly toMs: number }): Promise<ScheduleChanged> {
    return this.http.post(`${pathOf(scheduleId)}/backfill`, asked);
  }
}

function pathOf(scheduleId: string): string {
  return `/v1/schedules/${encodeURIComponent(scheduleId)}`;
}
