import type { Bus } from '@perdure/kernel';
import type { Answer } from '@perdure/run-contract';
import {
  scheduleAddress,
  scheduleRequestSubject,
  scheduleStream,
  type OverlapPolicy,
  type ScheduleEnvelopeInput,
  type ScheduleView,
} from '@perdure/schedule-contract';
import { auditSchedule, type Finding, type SeededRandom, type SimProcess } from '@perdure/testing';
import { childResult } from './program';
import type { LogView } from './log-view';
import { TENANT } from './roles';

/** A schedule that somebody wants, and what else that person does to it. */
interface Wanted {
  readonly scheduleId: string;
  readonly createAtMs: number;
  readonly everyMs: number;
  readonly overlap: OverlapPolicy;
  readonly catchUpMs: number;
  readonly lastsMs: number;
  readonly value: number;
  /** How long each of its runs takes. */
  readonly runMs: number;
  readonly pause: { readonly afterMs: number; readonly forMs: number } | undefined;
  /** Each is asked for twice, by somebody who did not hear the answer. */
  readonly triggersAfterMs: readonly number[];
}

type Command = ScheduleEnvelopeInput['command'];

const SCHEDULES_MAX = 2;
const CREATE_UNTIL_MS = 4_000;
const REQUEST_TIMEOUT_MS = 1_500;
const PAUSE_MS = 100;
const LOOK_EVERY_MS = 300;
const OVERLAPS: readonly OverlapPolicy[] = ['skip', 'buffer-one', 'buffer-all', 'cancel-other', 'allow-all'];
/** Runs of before anybody has registered are refused. */
const MAY_BE_REFUSED = new Set(['UnknownAgent']);

/** Makes schedules, does to them what persons do, and waits for their end. */
export class Planner {
  private readonly wanted: readonly Wanted[];
  private readonly over = new Set<string>();
  private readonly wishes: { readonly scheduleId: string; readonly id: string }[] = [];

  constructor(
    private readonly ports: { readonly process: SimProcess; readonly bus: Bus; readonly log: LogView },
    private readonly random: SeededRandom,
  ) {
    this.wanted = Array.from({ length: random.integer(1, SCHEDULES_MAX) }, (_, index) => draw(random.split(`${index}`), index));
  }

  begin(): void {
    for (const wanted of this.wanted)
      this.ports.process.schedule(wanted.createAtMs, `wants ${wanted.scheduleId}`, () => void this.live(wanted));
  }

  get isOver(): boolean {
    return this.over.size === this.wanted.length;
  }

  conclude(): readonly Finding[] {
    return this.wanted.flatMap(({ scheduleId, value }) => {
      const facts = this.factsOf(scheduleId);
      const isOver = this.over.has(scheduleId);
      const factsOf = (runId: string) => this.ports.log.of(`run-${TENANT}.${runId}`);
      const findings = [...auditSchedule(facts, { factsOf, isOver })];
      if (!isOver) findings.push({ invariant: 'I6', message: `${scheduleId} has not come to its end` });
      const asked = new Set(facts.flatMap(({ data }) => (data as { readonly cause?: { readonly id?: string } }).cause?.id ?? []));
      for (const wish of this.wishes)
        if (wish.scheduleId === scheduleId && !asked.has(wish.id))
          findings.push({ invariant: 'I1', message: `${scheduleId} has accepted the wish ${wish.id}, and no fact says so` });
      return [...findings, ...this.auditRuns(facts, value, factsOf)];
    });
  }

  private auditRuns(
    facts: ReturnType<LogView['of']>,
    value: number,
    factsOf: (runId: string) => ReturnType<LogView['of']>,
  ): readonly Finding[] {
    return facts.flatMap(({ type, data }): Finding[] => {
      const { runId = '', error, result } = data as { runId?: string; error?: { code: string }; result?: string };
      if (type === 'FiringRefused' && !MAY_BE_REFUSED.has(error?.code ?? ''))
        return [{ invariant: 'I16', message: `${runId} was refused as ${error?.code}` }];
      if (type !== 'FiringEnded' || result === 'cancelled') return [];
      const { output } = (factsOf(runId).at(-1)?.data ?? {}) as { readonly output?: unknown };
      return output === childResult(value) ? [] : [{ invariant: 'I3', message: `${runId} came to ${JSON.stringify(output)}` }];
    });
  }

  private factsOf(scheduleId: string): ReturnType<LogView['of']> {
    return this.ports.log.of(scheduleStream.build(scheduleAddress(TENANT, scheduleId)));
  }

  private async live(wanted: Wanted): Promise<void> {
    const { scheduleId, everyMs, overlap, catchUpMs, lastsMs, value, runMs, pause } = wanted;
    const { process } = this.ports;
    const nowMs = process.clock.nowMs();
    const spec = {
      start: { name: 'leaf', kind: 'workflow' as const, input: { value, throws: false, ms: runMs } },
      when: [{ type: 'interval' as const, everyMs }],
      endAtMs: nowMs + lastsMs,
      overlap,
      catchUpMs,
    };
    await this.change(scheduleId, { type: 'CreateSchedule', spec });
    const triggers = wanted.triggersAfterMs.map((afterMs) => this.later(afterMs, () => this.trigger(scheduleId)));
    const pausing = pause === undefined ? undefined : this.later(pause.afterMs, () => this.holdFor(scheduleId, pause.forMs));
    await Promise.all([...triggers, pausing]);
    await this.untilOver(scheduleId);
  }

  private async trigger(scheduleId: string): Promise<void> {
    const id = this.ports.process.entropy.uuid();
    for (let sent = 0; sent < 2; sent += 1) await this.change(scheduleId, { type: 'RunNow', overlap: 'allow-all' }, id);
    this.wishes.push({ scheduleId, id });
  }

  private async holdFor(scheduleId: string, forMs: number): Promise<void> {
    await this.change(scheduleId, { type: 'PauseSchedule', note: 'somebody wants to look at it' });
    await this.later(forMs, () => this.change(scheduleId, { type: 'ResumeSchedule' }));
  }

  private async untilOver(scheduleId: string): Promise<void> {
    for (;;) {
      const answer = await this.ask(scheduleId, this.envelope({ type: 'GetSchedule' }));
      const view = answer.ok ? (answer.value as ScheduleView) : undefined;
      if (view?.status === 'finished' && view.openCount === 0 && view.bufferedCount === 0) break;
      await this.pause(LOOK_EVERY_MS);
    }
    this.over.add(scheduleId);
  }

  private async change(scheduleId: string, command: Command, id?: string): Promise<void> {
    const answer = await this.ask(scheduleId, this.envelope(command, id));
    if (!answer.ok)
      this.ports.process.simulation.violate('I1', `${command.type} of ${scheduleId} was refused as ${answer.error.code}`);
  }

  private envelope(command: Command, id = this.ports.process.entropy.uuid()): string {
    const envelope: ScheduleEnvelopeInput = { v: 1, id, actor: { kind: 'user', id: 'planner' }, command };
    return JSON.stringify(envelope);
  }

  /** Until answered: what is not known is asked again with the same bytes. */
  private async ask(scheduleId: string, envelope: string): Promise<Answer> {
    const subject = scheduleRequestSubject.build(scheduleAddress(TENANT, scheduleId));
    for (;;) {
      try {
        const text = await this.ports.bus.request(subject, envelope, { timeoutMs: REQUEST_TIMEOUT_MS });
        const answer = JSON.parse(text) as Answer;
        if (answer.ok || answer.error.reaction !== 'retryable') return answer;
      } catch {
        // No answer: that is what the loop is for.
      }
      await this.pause(PAUSE_MS * (0.5 + this.random.fraction()));
    }
  }

  private async later<T>(afterMs: number, then: () => Promise<T>): Promise<T> {
    await this.pause(afterMs);
    return then();
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.ports.process.timers.after(ms, resolve));
  }
}

function draw(random: SeededRandom, index: number): Wanted {
  return {
    scheduleId: `schedule-${index + 1}`,
    createAtMs: random.between(0, CREATE_UNTIL_MS),
    everyMs: random.pick([1_000, 1_500, 2_000]),
    overlap: random.pick(OVERLAPS),
    catchUpMs: random.pick([500, 3_000, 60_000]),
    // Beyond the time at which faults end: by then it has been made, and what was missed is made up for.
    lastsMs: random.integer(14_000, 18_000),
    value: random.integer(1, 99),
    runMs: random.integer(0, random.chance(0.5) ? 100 : 3_000),
    pause: random.chance(0.4) ? { afterMs: random.between(0, 4_000), forMs: random.between(0, 3_000) } : undefined,
    triggersAfterMs: Array.from({ length: random.integer(0, 2) }, () => random.between(0, 6_000)),
  };
}
