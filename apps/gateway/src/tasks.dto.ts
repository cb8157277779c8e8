import { task, taskPage, tasksWanted } from '@perdure/approval-contract';
import { nameToken, taskAssignee, userValue } from '@perdure/run-contract';
import { createZodDto } from 'nestjs-zod';
import { z } from 'zod';
import { TENANT_DEFAULT } from './requests.dto';

const tenant = nameToken.default(TENANT_DEFAULT);
const spoken = {
  by: nameToken.describe('Who says so: it has to be asked. Recorded with it.'),
  asked: z.number().int().nonnegative().optional().describe('As it was shown: refused if something else is asked by now.'),
  tenant,
};

export class TasksQuery extends createZodDto(z.object({ tenant, ...tasksWanted })) {}
export class AnswerBody extends createZodDto(
  z.object({ ...spoken, answer: userValue.describe('It has to fit the form of the task.') }),
) {}
export class DelegateBody extends createZodDto(
  z.object({ ...spoken, to: taskAssignee, reason: z.string().max(2_000).optional() }),
) {}
export class TasksDto extends createZodDto(
  taskPage.extend({ complete: z.boolean().describe('False while the gateway still reads the log after its start.') }),
) {}
export class TaskDto extends createZodDto(task) {}
