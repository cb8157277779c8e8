import { Body, Controller, Get, HttpCode, HttpStatus, Inject, Param, Post, Query } from '@nestjs/common';
import { ApiCreatedResponse, ApiDefaultResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FiringList, ScheduleChanged, ScheduleList, ScheduleView } from '@perdure/schedule-contract';
import { RefusedDto } from './requests.dto';
import { scheduleAddressOf, ScheduleRequests } from './schedule-requests';
import {
  BackfillBody,
  CreateScheduleBody,
  FiringListDto,
  FiringsQuery,
  NextQuery,
  NextTimesDto,
  ScheduleChangedDto,
  ScheduleListDto,
  ScheduleNoteBody,
  ScheduleQuery,
  SchedulesQuery,
  ScheduleViewDto,
  TriggerBody,
  UpdateScheduleBody,
} from './schedules.dto';

@ApiTags('schedules')
@ApiDefaultResponse({ type: RefusedDto, description: 'A typed error that says what to do.' })
@Controller('v1/schedules')
export class SchedulesController {
  constructor(@Inject(ScheduleRequests) private readonly schedules: ScheduleRequests) {}

  @Post()
  @ApiOperation({ summary: 'Create a schedule: from now on it starts runs at its times. The same again changes nothing.' })
  @ApiCreatedResponse({ type: ScheduleChangedDto })
  create(@Body() { tenant, scheduleId, spec, by }: CreateScheduleBody): Promise<ScheduleChanged> {
    return this.schedules.change(scheduleAddressOf(tenant, scheduleId), { type: 'CreateSchedule', spec }, { by });
  }

  @Get()
  @ApiOperation({ summary: 'The schedules of a tenant, in the order of their ids.' })
  @ApiOkResponse({ type: ScheduleListDto })
  list(@Query() { tenant, ...page }: SchedulesQuery): Promise<ScheduleList> {
    return this.schedules.list(tenant, page);
  }

  @Get(':scheduleId')
  @ApiOperation({ summary: 'How a schedule stands: what it is, its next times, what is under way, what was last.' })
  @ApiOkResponse({ type: ScheduleViewDto })
  get(@Param('scheduleId') scheduleId: string, @Query() { tenant, next }: ScheduleQuery): Promise<ScheduleView> {
    return this.schedules.get(scheduleAddressOf(tenant, scheduleId), next);
  }

  @Get(':scheduleId/next')
  @ApiOperation({
    summary: 'Its next times, and when each fires: later by its jitter. Of a paused one those that it would have.',
  })
  @ApiOkResponse({ type: NextTimesDto })
  async next(@Param('scheduleId') scheduleId: string, @Query() { tenant, limit }: NextQuery): Promise<NextTimesDto> {
    const { status, next } = await this.schedules.get(scheduleAddressOf(tenant, scheduleId), limit);
    return { status, next };
  }

  @Get(':scheduleId/firings')
  @ApiOperation({ summary: 'What has become of its times, newest first: runs, and what was skipped or missed.' })
  @ApiOkResponse({ type: FiringListDto })
  firings(@Param('scheduleId') scheduleId: string, @Query() { tenant, limit }: FiringsQuery): Promise<FiringList> {
    return this.schedules.firings(scheduleAddressOf(tenant, scheduleId), limit);
  }

  @Post(':scheduleId/update')
  @HttpCode(HttpStatus.OK)
  @ApiOperation({ summary: 'Give it a whole new specification.' })
  @ApiOkResponse({ type: ScheduleChangedDto })
  update(@Param('scheduleId') scheduleId: string, @Body() body: UpdateScheduleBody): Promise<ScheduleChanged> {
    const { tenant, spec, version, note, by } = body;
    const more = { ...(version === undefined ? {} : { version }), ...said(note) };
    return this.schedules.change(scheduleAddressOf(tenant, scheduleId), { type: 'UpdateSchedule', spec, ...more }, { by });
  }

  @Post(':scheduleId/pause')
  @HttpCode(HttpStatus.OK)
  @ApiOperation({ summary: 'Its times are none until it is resumed; what is under way goes on.' })
  @ApiOkResponse({ type: ScheduleChangedDto })
  pause(@Param('scheduleId') scheduleId: string, @Body() body: ScheduleNoteBody): Promise<ScheduleChanged> {
    return this.note('PauseSchedule', scheduleId, body);
  }

  @Post(':scheduleId/resume')
  @HttpCode(HttpStatus.OK)
  @ApiOperation({ summary: 'Its times count again, from now on.' })
  @ApiOkResponse({ type: ScheduleChangedDto })
  resume(@Param('scheduleId') scheduleId: string, @Body() body: ScheduleNoteBody): Promise<ScheduleChanged> {
    return this.note('ResumeSchedule', scheduleId, body);
  }

  @Post(':scheduleId/delete')
  @HttpCode(HttpStatus.OK)
  @ApiOperation({ summary: 'It starts nothing any more; what is under way goes on, what waits is dropped.' })
  @ApiOkResponse({ type: ScheduleChangedDto })
  delete(@Param('scheduleId') scheduleId: string, @Body() body: ScheduleNoteBody): Promise<ScheduleChanged> {
    return this.note('DeleteSchedule', scheduleId, body);
  }

  @Post(':scheduleId/trigger')
  @HttpCode(HttpStatus.OK)
  @ApiOperation({ summary: 'Start a run now; the answer names it, unless its policy skipped it or let it wait.' })
  @ApiOkResponse({ type: ScheduleChangedDto })
  trigger(@Param('scheduleId') scheduleId: string, @Body() body: TriggerBody): Promise<ScheduleChanged> {
    const { tenant, overlap, id, by } = body;
    const command = { type: 'RunNow' as const, ...(overlap === undefined ? {} : { overlap }) };
    return this.schedules.change(scheduleAddressOf(tenant, scheduleId), command, { by, id });
  }

  @Post(':scheduleId/backfill')
  @HttpCode(HttpStatus.ACCEPTED)
  @ApiOperation({ summary: 'Start the runs of its times in the past, again.' })
  @ApiOkResponse({ type: ScheduleChangedDto })
  backfill(@Param('scheduleId') scheduleId: string, @Body() body: BackfillBody): Promise<ScheduleChanged> {
    const { tenant, fromMs, toMs, overlap, id, by } = body;
    const command = { type: 'Backfill' as const, fromMs, toMs, ...(overlap === undefined ? {} : { overlap }) };
    return this.schedules.change(scheduleAddressOf(tenant, scheduleId), command, { by, id });
  }

  private note(
    type: 'PauseSchedule' | 'ResumeSchedule' | 'DeleteSchedule',
    scheduleId: string,
    { tenant, note, by }: ScheduleNoteBody,
  ): Promise<ScheduleChanged> {
    return this.schedules.change(scheduleAddressOf(tenant, scheduleId), { type, ...said(note) }, { by });
  }
}

function said(note: string | undefined): { readonly note?: string } {
  return note === undefined ? {} : { note };
}
