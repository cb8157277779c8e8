import type { RecordedEvent } from '@perdure/kernel';
import { runStream } from '@perdure/run-contract';
import type { UseIds } from './outer-world';

/** A use of a tool as the log has it: calls of different branches of a run share their names, and are different uses. */
export interface Use extends UseIds {
  readonly branch: number;
  readonly call: string;
  /** As what outlasts a rewind names it. */
  readonly name: string;
  readonly effectClass: string;
  readonly isConfirmed: boolean;
  readonly isQuestioned: boolean;
  /** Begun, and nobody has said how it ended. */
  readonly isUnderWay: boolean;
}

/** What undoes is no use of its own. */
export function usesIn(facts: readonly RecordedEvent[]): readonly Use[] {
  const uses = new Map<string, Use>();
  for (const { type, stream, data, metadata } of facts) {
    const { branch } = metadata as { readonly branch: number };
    const { call, undoes, effectClass, executionId } = data as Readonly<Record<string, string | undefined>>;
    if (call === undefined) continue;
    const { tenant, runId } = runStream.parse(stream);
    const key = `${tenant}/${runId}/${branch}/${call}`;
    const use = uses.get(key);
    if (type === 'EffectIntended' && undoes === undefined) {
      const name = branch === 0 ? call : `b${branch}-${call}`;
      const nothing = { executions: [], isConfirmed: false, isQuestioned: false, isUnderWay: false };
      uses.set(key, { key, branch, call, name, effectClass: effectClass ?? '', ...nothing });
    } else if (use !== undefined) uses.set(key, { ...use, ...told(use, type, executionId) });
  }
  return [...uses.values()];
}

function told(use: Use, type: string, executionId: string | undefined): Partial<Use> {
  switch (type) {
    case 'EffectDispatched':
      return { executions: [...use.executions, executionId ?? ''], isUnderWay: true };
    case 'EffectConfirmed':
      return { isConfirmed: true, isUnderWay: false };
    case 'EffectQuestioned':
      return { isQuestioned: true };
    case 'EffectReconciled':
      return { isQuestioned: false, isUnderWay: false };
    case 'EffectFailed':
    case 'EffectNotStarted':
    case 'EffectLost':
    case 'EffectDeadLettered':
      return { isUnderWay: false };
    default:
      return {};
  }
}
