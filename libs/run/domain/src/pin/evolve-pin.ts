import type { RunEventOf } from '@perdure/run-contract';
import { rememberCommand } from '../command-memory';
import type { OpenRun } from '../run.state';

/** A workflow goes on with the code that it was last given to; an agent has no code that could differ, unless somebody asked for a certain build. */
export function pinnedBy(run: OpenRun, buildId: string): string | undefined {
  return run.request.kind === 'workflow' || run.pin !== undefined ? buildId : undefined;
}

export function repinned(run: OpenRun, { data }: RunEventOf<'RunRepinned'>): OpenRun {
  return { ...rememberCommand(run, data.commandId), pin: data.buildId };
}
