import { nameToken } from '@perdure/run-contract';
import {
  firingList,
  FIRINGS_MAX,
  LISTED_MAX,
  NEXT_TIMES_MAX,
  overlapPolicy,
  scheduleChanged,
  scheduleList,
  scheduleSpec,
  scheduleView,
} from '@perdure/schedule-contract';
import { createZodDto } from 'nestjs-zod';
import { z } from 'zod';
import { TENANT_DEFAULT } from './requests.dto';

const tenant = nameToken.default(TENANT_DEFAULT);
const note = z.string().max(2_000).optional().describe('Recorded with it.');
const timestampMs = z.number().int().nonnegative();

const asked = {
  by: z
    .string()
    .min(1)
    .max(200)
    .default('gateway')
    .describe('Who asks: recorded with it. The runs of a schedule belong to whoever said last what it starts.'),
  tenant,
};
const id = z.uuidv7().optional().describe('The same id again is the same request: it is done once.');

export class CreateScheduleBody extends createZodDto(z.object({ scheduleId: nameToken, spec: scheduleSpec, ...asked })) {}

export class UpdateScheduleBody extends createZodDto(
  z.object({
    spec: scheduleSpec.describe('The whole new one.'),
    version: z.number().int().positive().optional().describe('Only if this is the present one.'),
    note,
    ...asked,
  }),
) {}

export class ScheduleNoteBody extends createZodDto(z.object({ note, ...asked })) {}

export class TriggerBody extends createZodDto(
  z.object({
    overlap: overlapPolicy.optional().describe('By default allow-all: it starts whatever is under way.'),
    id,
    ...asked,
  }),
) {}

export class BackfillBody extends createZodDto(
  z.object({
    fromMs: timestampMs,
    toMs: timestampMs.describe('Included, and past.'),
    overlap: overlapPolicy.optional().describe('By default buffer-all: one after another.'),
    id,
    ...asked,
  }),
) {}

export class SchedulesQuery extends createZodDto(
  z.object({
    tenant,
    after: nameToken.optional().describe('The field next of the page before.'),
    limit: z.coerce.number().int().positive().max(LISTED_MAX).default(50),
  }),
) {}

export class ScheduleQuery extends createZodDto(
  z.object({
    tenant,
    next: z.coerce.number().int().nonnegative().max(NEXT_TIMES_MAX).default(5).describe('So many next times.'),
  }),
) {}

export class NextQuery extends createZodDto(
  z.object({ tenant, limit: z.coerce.number().int().positive().max(NEXT_TIMES_MAX).default(10) }),
) {}

export class FiringsQuery extends createZodDto(
  z.object({ tenant, limit: z.coerce.number().int().positive().max(FIRINGS_MAX).default(20) }),
) {}

export class ScheduleViewDto extends createZodDto(scheduleView) {}
export class ScheduleListDto extends createZodDto(scheduleList) {}
export class ScheduleChangedDto extends createZodDto(scheduleChanged) {}
export class FiringListDto extends createZodDto(firingList) {}
export class NextTimesDto extends createZodDto(z.object({ status: scheduleView.shape.status, next: scheduleView.shape.next })) {}
