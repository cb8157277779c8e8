import { InvariantViolated, partitionOf, token, type Token } from '@perdure/kernel';

export interface ScheduleAddress {
  readonly tenant: Token;
  readonly scheduleId: Token;
}

export function scheduleAddress(tenant: string, scheduleId: string): ScheduleAddress {
  return { tenant: token(tenant, 'tenant'), scheduleId: token(scheduleId, 'schedule id') };
}

const SCHEDULE_CATEGORY = 'schedule-';

export const scheduleStream = {
  build: ({ tenant, scheduleId }: ScheduleAddress): string => `${SCHEDULE_CATEGORY}${tenant}.${scheduleId}`,
  parse: (stream: string): ScheduleAddress => {
    const dot = stream.indexOf('.');
    if (!stream.startsWith(SCHEDULE_CATEGORY) || dot < 0)
      throw new InvariantViolated(`${stream} is not the stream of a schedule`);
    return scheduleAddress(stream.slice(SCHEDULE_CATEGORY.length, dot), stream.slice(dot + 1));
  },
};

/** Side stream of a schedule: its newest snapshot, `$maxCount` 1. */
export const scheduleSnapshotStream = {
  build: ({ tenant, scheduleId }: ScheduleAddress): string => `scheduleSnapshot-${tenant}.${scheduleId}`,
};

/** Requests to the owner of a schedule; the broker maps them to the partition of its id. */
export const scheduleRequestSubject = {
  build: ({ tenant, scheduleId }: ScheduleAddress): string => `perdure.req.${tenant}.schedule.${scheduleId}`,
};

/** Where the owner of a partition listens. */
export const schedulePartitionSubject = {
  build: (partition: number): string => `perdure.part.${partition}.req.*.schedule.*`,
  parse: (subject: string): ScheduleAddress => {
    const [root, part, partition, kind, tenant, context, scheduleId, ...rest] = subject.split('.');
    if (root !== 'perdure' || part !== 'part' || kind !== 'req' || context !== 'schedule' || rest.length > 0)
      throw new InvariantViolated(`${subject} is not a mapped subject of a schedule`);
    const address = scheduleAddress(tenant ?? '', scheduleId ?? '');
    if (Number(partition) !== partitionOf(address.scheduleId))
      throw new InvariantViolated(`${subject}: the broker's partition is not ${partitionOf(address.scheduleId)}`);
    return address;
  },
};

/** Mapped by the broker as every request is: nobody but services may listen there. */
export const schedulesSubject = {
  build: (tenant: Token): string => `perdure.req.${tenant}.schedules.list`,
  /** Of all tenants, as the broker has mapped them. */
  all: 'perdure.part.*.req.*.schedules.list',
  parse: (subject: string): Token => token(subject.split('.')[4] ?? '', 'tenant'),
};

/** Of the key that seals its payloads: each time that it is created, another one. */
export function scheduleKeyId(
  digest: { sha256(text: string): string },
  { scheduleId, generation }: { readonly scheduleId: string; readonly generation: number },
): string {
  return `schedule-${digest.sha256(`${scheduleId}/${generation}`).slice(0, RUN_ID_LENGTH)}`;
}

/** Characters of the hash by which a run is named. */
const RUN_ID_LENGTH = 40;

/** Why a schedule starts a run: one of its times, one of them again, or somebody who wants it now. */
export type FiringIdentity =
  | { readonly by: 'times'; readonly nominalAtMs: number }
  | { readonly by: 'backfill'; readonly id: string; readonly nominalAtMs: number }
  | { readonly by: 'run-now'; readonly id: string };

/** From identity alone: whoever asks again asks for the same run. `generation`: how often the schedule was created. */
export function scheduledRunId(
  digest: { sha256(text: string): string },
  { tenant, scheduleId, generation }: { readonly tenant: string; readonly scheduleId: string; readonly generation: number },
  firing: FiringIdentity,
): string {
  const what =
    firing.by === 'times'
      ? `${firing.nominalAtMs}`
      : firing.by === 'backfill'
        ? `backfill/${firing.id}/${firing.nominalAtMs}`
        : `now/${firing.id}`;
  return `sched-${digest.sha256(`${tenant}/${scheduleId}/${generation}/${what}`).slice(0, RUN_ID_LENGTH)}`;
}
