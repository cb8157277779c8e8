import { Body, Controller, Get, HttpCode, HttpStatus, Inject, Param, Post, Query } from '@nestjs/common';
import { ApiDefaultResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { RefusedDto, TenantQuery } from './requests.dto';
import { addressOf, RunRequests } from './run-requests';
import { TaskReader } from './task-reader';
import { AnswerBody, DelegateBody, TaskDto, TasksDto, TasksQuery } from './tasks.dto';

type Said = { readonly runId: string; readonly call: string };

@ApiTags('tasks')
@ApiDefaultResponse({ type: RefusedDto, description: 'A typed error that says what to do.' })
@Controller('v1/tasks')
export class TasksController {
  constructor(
    @Inject(TaskReader) private readonly tasks: TaskReader,
    @Inject(RunRequests) private readonly runs: RunRequests,
  ) {}

  @Get()
  @ApiOperation({ summary: 'What runs ask of persons; what has waited for longest first.' })
  @ApiOkResponse({ type: TasksDto })
  list(@Query() query: TasksQuery): TasksDto {
    const { tasks, next } = this.tasks.page(query);
    return { complete: this.tasks.isComplete, tasks: [...tasks], ...(next === undefined ? {} : { next }) };
  }

  @Get(':runId/:call')
  @ApiOperation({ summary: 'One of them, with the form of its answer.' })
  @ApiOkResponse({ type: TaskDto })
  get(@Param('runId') runId: string, @Param('call') call: string, @Query() query: TenantQuery): Promise<TaskDto> {
    return this.tasks.get(addressOf(query.tenant, runId), call);
  }

  @Post(':runId/:call/answer')
  @HttpCode(HttpStatus.ACCEPTED)
  @ApiOperation({ summary: 'Answer what is asked: the run goes on with it.' })
  async answer(@Param('runId') runId: string, @Param('call') call: string, @Body() body: AnswerBody): Promise<Said> {
    const { tenant, by, asked, answer = null } = body;
    const shown = asked === undefined ? {} : { asked };
    await this.runs.saidBy(by, addressOf(tenant, runId), { type: 'AnswerTask', call, answer, ...shown });
    return { runId, call };
  }

  @Post(':runId/:call/delegate')
  @HttpCode(HttpStatus.ACCEPTED)
  @ApiOperation({ summary: 'Let somebody else answer as well.' })
  async delegate(@Param('runId') runId: string, @Param('call') call: string, @Body() body: DelegateBody): Promise<Said> {
    const { tenant, by, asked, to, reason } = body;
    const more = { ...(asked === undefined ? {} : { asked }), ...(reason === undefined ? {} : { reason }) };
    await this.runs.saidBy(by, addressOf(tenant, runId), { type: 'DelegateTask', call, to, ...more });
    return { runId, call };
  }
}
