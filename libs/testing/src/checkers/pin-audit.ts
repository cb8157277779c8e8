import type { RecordedEvent } from '@perdure/kernel';
import type { Finding } from './run-audit';

/** Builds that take the runs of others over, as they were registered. */
export type TakesOver = (buildId: string, of: string) => boolean;

/**
 * I15: a workflow goes on with the build that it was last given to, unless the code diverged, somebody said otherwise, or
 * the new build had declared that it may.
 */
export function auditPin(events: readonly RecordedEvent[], takesOver: TakesOver = () => false): readonly Finding[] {
  const findings: Finding[] = [];
  const [first] = events;
  if ((first?.data as { kind?: string } | undefined)?.kind !== 'workflow') return findings;
  let pin: string | undefined;
  for (const { type, data, stream, revision } of events) {
    const { buildId } = data as { buildId?: string };
    if (type === 'RunAssigned' && buildId !== undefined) {
      if (pin !== undefined && pin !== buildId && !takesOver(buildId, pin))
        findings.push({ invariant: 'I15', message: `${stream}@${revision}: given to build ${buildId}, and pinned to ${pin}` });
      pin = buildId;
    } else if (type === 'RunRepinned') pin = buildId;
    else if (type === 'CodeDiverged') pin = undefined;
  }
  return findings;
}
