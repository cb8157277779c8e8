import type { RunEvent } from '@perdure/run-contract';
import { closing, isUnknownAgent, rousing } from '../closing';
import { exhausted, overdue } from './exhaustion';
import type { DecidedCommand } from '../run.commands';
import { evolve } from '../run.evolve';
import type { OpenRun, OpenTimer, RunState } from '../run.state';

/** When it is noticed that an effect is exhausted without an attempt having failed: by a timer, or where one would begin. */
type Given = Pick<DecidedCommand, 'at' | 'code'>;

/** A timer has fired that ends the owner's patience: unless an attempt is under way, or has ended long ago. */
export function patienceEnds(
  run: OpenRun,
  fired: RunEvent,
  { timer, at, code }: Given & { readonly timer: OpenTimer },
): readonly RunEvent[] {
  const open = timer.call === undefined ? undefined : run.calls.get(timer.call);
  const because = open?.kind === 'tool' ? overdue(run, open, at.nowMs) : undefined;
  if (open?.kind !== 'tool' || because === undefined || isUnknownAgent(run, code)) return [fired];
  return rousing(run, closing(run, code, [fired, exhausted(open, because)]));
}

/** Before a worker takes the run up: what it must not begin any more, although no timer has said so yet. */
export function patienceEnded(run: OpenRun, { at, code }: Given): readonly RunEvent[] {
  if (isUnknownAgent(run, code)) return [];
  let state = run;
  const events: RunEvent[] = [];
  for (const open of run.calls.values()) {
    const because = open.kind === 'tool' ? overdue(state, open, at.nowMs) : undefined;
    if (open.kind !== 'tool' || because === undefined) continue;
    const ends = closing(state, code, [exhausted(open, because)]);
    events.push(...ends);
    state = ends.reduce<RunState>(evolve, state) as OpenRun;
  }
  return events;
}

/** The same of one call, where a worker asks to begin it, or where it has become due again. */
export function patienceEndedWith(run: OpenRun, call: string, { at, code }: Given): readonly RunEvent[] {
  const open = run.calls.get(call);
  const because = open?.kind === 'tool' ? overdue(run, open, at.nowMs) : undefined;
  if (open?.kind !== 'tool' || because === undefined || isUnknownAgent(run, code)) return [];
  return closing(run, code, [exhausted(open, because)]);
}
