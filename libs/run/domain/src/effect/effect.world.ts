import { fold } from '@perdure/kernel';
import type { ProgressEntry, RunEvent, RunEventOf } from '@perdure/run-contract';
import type { ToolManifest } from '@perdure/tenant-contract';
import {
  assigned,
  commandIdAt,
  deciderSpec,
  fact,
  intendedEffect,
  knownCode,
  progress,
  reported,
  requested,
  specIdentities,
  START_MS,
  toolManifest,
  workflowManifest,
} from '@perdure/testing';
import { EFFECT_SKEW_MS, EFFECT_START_WITHIN_MS } from '../bounds';
import type { DomainCommand } from '../run.commands';
import { runDecider } from '../run.decider';
import { pendingEffects } from '../run.effects';
import { isOpen, noRun, type OpenRun } from '../run.state';

/** What the specs of the ledger of effects share: a workflow that pays, by a tool that must be claimed. */

export const decider = runDecider(specIdentities);
export const given = deciderSpec(decider, pendingEffects);

export const TIMEOUT_MS = 1_000;
export const START_BY_MS = START_MS + EFFECT_START_WITHIN_MS;
export const OVER_BY_MS = START_BY_MS + TIMEOUT_MS + EFFECT_SKEW_MS;
export const of = { call: '1', attempt: 1, executionId: 'x1' };
export const busy = { code: 'Busy', message: 'later', reaction: 'retryable' as const };

export type Class = 'probeable' | 'irreversible';
export const tools = (effectClass: Class): readonly ToolManifest[] => [
  toolManifest('pay', { effectClass, timeoutMs: TIMEOUT_MS, hasProbe: effectClass === 'probeable' }),
];
export const code = (effectClass: Class) => knownCode(workflowManifest(), tools(effectClass));
export const report = (
  effectClass: Class,
  entry: ProgressEntry | readonly ProgressEntry[],
  place: Parameters<typeof progress>[0] = {},
) => ({
  ...progress(place, ...(Array.isArray(entry) ? (entry as readonly ProgressEntry[]) : [entry as ProgressEntry])),
  code: code(effectClass),
});
export const own = (command: DomainCommand, nowMs = START_MS) => ({
  command,
  at: { nowMs, commandId: commandIdAt(nowMs, 7), fraction: 0.5 },
  code: code('probeable'),
});
export const byUser = { kind: 'user' as const, id: 'ada' };

export const intended = (effectClass: Class) => [requested(), assigned(), intendedEffect('1', { effectClass })];
export const dispatched = (effectClass: Class, data: Partial<RunEventOf<'EffectDispatched'>['data']> = {}) =>
  fact('EffectDispatched', {
    ...of,
    startByMs: START_BY_MS,
    overByMs: OVER_BY_MS,
    hasProbe: effectClass === 'probeable',
    ...data,
  });
export const underWay = (effectClass: Class) => [...intended(effectClass), dispatched(effectClass)];
export const probeAt = (probe: number, dueAtMs: number, attempt = 1) =>
  fact('TimerSet', { timerId: `probe-1-${attempt}-${probe}`, purpose: 'probe', call: '1', dueAtMs });
export const unknown = fact('EffectUnknown', { ...of, because: 'activation-ended' });
export const questioned = (data: Partial<RunEventOf<'EffectQuestioned'>['data']> = {}) =>
  fact('EffectQuestioned', {
    ...of,
    tool: 'pay',
    effectClass: 'irreversible',
    args: { amount: 5 },
    startByMs: START_BY_MS,
    overByMs: OVER_BY_MS,
    because: 'no-probe',
    why: 'Its activation ended while it was under way. pay has no probe.',
    ...data,
  });

export const WOKEN = fact('RunWoken', { preferredWorkerId: 'worker-1' });

export const CLASSES = ['probeable', 'irreversible'] as const;
export const first = (...events: readonly RunEvent[]) => events.map((event) => reported(1, 1, event));

export function stateAfter(...facts: readonly RunEvent[]): OpenRun {
  const state = fold({ evolve: decider.evolve }, noRun, facts);
  if (!isOpen(state)) throw new Error('the run is over');
  return state;
}
