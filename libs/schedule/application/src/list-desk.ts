import { errorRecordOf, PerdureError, Retryable, type Bus, type BusMessage, type Host, type Subscription } from '@perdure/kernel';
import { answer } from '@perdure/run-contract';
import {
  scheduleRequestSubject,
  schedulesRequest,
  schedulesSubject,
  scheduleView,
  type ScheduleAddress,
  type ScheduleEnvelopeInput,
  type ScheduleLine,
  type ScheduleList,
  type SchedulesRequest,
} from '@perdure/schedule-contract';
import { scheduleLineOf } from '@perdure/schedule-domain';
import { parseWith } from './request';
import type { ScheduleIndex } from './schedule-index';

// Which schedules there are.
//
// 1. Which of them exist, the index says, which knows those of all partitions; how each stands, its owner says now.
// 2. One whose owner does not answer is named: it is not left out.

/** Several instances share the work. */
const QUEUE = 'schedules';
/** Owners asked at once for one list. */
const ASKED_AT_ONCE = 16;
/** Lists under way at once. */
const LISTS_MAX = 16;
/** Below the patience of who waits for the whole list. */
const OWNER_TIMEOUT_MS = 500;
const AGAIN_MS = 200;

export class ListDesk {
  private underWay = 0;

  constructor(
    private readonly ports: { readonly bus: Bus; readonly host: Host; readonly index: Pick<ScheduleIndex, 'of' | 'complete'> },
  ) {}

  listen(): Subscription {
    return this.ports.bus.subscribe(schedulesSubject.all, (message) => void this.onRequest(message), { queue: QUEUE });
  }

  private async onRequest(message: BusMessage): Promise<void> {
    this.underWay += 1;
    try {
      if (this.underWay > LISTS_MAX)
        throw new Retryable('Overloaded', 'Many lists are being made. Try again a little later.', { retryAfterMs: AGAIN_MS });
      const { command } = parseWith(schedulesRequest, message.payload);
      const value = await this.list(schedulesSubject.parse(message.subject), command);
      message.respond(JSON.stringify({ ok: true, value }));
    } catch (error) {
      if (!(error instanceof PerdureError))
        this.ports.host.log.error('a list of schedules could not be made', { reason: String(error) });
      message.respond(JSON.stringify({ ok: false, error: errorRecordOf(error) }));
    } finally {
      this.underWay -= 1;
    }
  }

  /** @throws Retryable `SchedulesIncomplete` */
  private async list(tenant: string, { after = '', limit }: SchedulesRequest['command']): Promise<ScheduleList> {
    if (!this.ports.index.complete)
      throw new Retryable('SchedulesIncomplete', 'The log is still being read after a start. Ask again.', {
        retryAfterMs: AGAIN_MS,
      });
    const rest = this.ports.index.of(tenant).filter(({ scheduleId }) => scheduleId > after);
    const page = rest.slice(0, limit);
    const lines = await this.linesOf(page);
    const last = page.at(-1)?.scheduleId;
    return {
      schedules: page.flatMap(({ scheduleId }) => lines.get(scheduleId) ?? []),
      unanswered: page.map(({ scheduleId }) => scheduleId).filter((scheduleId) => !lines.has(scheduleId)),
      ...(rest.length > page.length && last !== undefined ? { next: last } : {}),
    };
  }

  /** An empty place = it was deleted in the meantime. */
  private async linesOf(page: readonly ScheduleAddress[]): Promise<ReadonlyMap<string, ScheduleLine | readonly []>> {
    const lines = new Map<string, ScheduleLine | readonly []>();
    const left = [...page];
    const next = async (): Promise<void> => {
      for (let address = left.shift(); address !== undefined; address = left.shift()) {
        const line = await this.lineOf(address);
        if (line !== undefined) lines.set(address.scheduleId, line);
      }
    };
    await Promise.all(Array.from({ length: ASKED_AT_ONCE }, next));
    return lines;
  }

  private async lineOf(address: ScheduleAddress): Promise<ScheduleLine | readonly [] | undefined> {
    const { bus, host } = this.ports;
    const envelope: ScheduleEnvelopeInput = {
      v: 1,
      id: host.entropy.uuid(),
      actor: { kind: 'service', id: 'schedules' },
      command: { type: 'GetSchedule', next: 1 },
    };
    try {
      const text = await bus.request(scheduleRequestSubject.build(address), JSON.stringify(envelope), {
        timeoutMs: OWNER_TIMEOUT_MS,
      });
      const reply = answer.parse(JSON.parse(text));
      if (!reply.ok) return undefined;
      const view = scheduleView.parse(reply.value);
      return view.status === 'deleted' ? [] : scheduleLineOf(view);
    } catch (error) {
      host.log.warn('the owner of a schedule does not say how it stands', { ...address, reason: String(error) });
      return undefined;
    }
  }
}
