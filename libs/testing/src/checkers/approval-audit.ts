import type { RecordedEvent } from '@perdure/kernel';
import type { Finding } from './run-audit';

type Data = Readonly<Record<string, unknown>>;

interface Watched {
  readonly argsHash: string;
  readonly quorum: number;
  /** Of those who agree, by the hash of the arguments that they agree on. */
  readonly agreed: Map<string, Set<string>>;
  grant: { readonly id: string; readonly expiresAtMs: number } | undefined;
}

/** I9: an effect that needs an approval is begun only under a grant for its arguments, on which enough persons agree. */
export function auditApprovals(
  events: readonly RecordedEvent[],
  { clockSkewMs }: { readonly clockSkewMs: number },
): readonly Finding[] {
  const findings: Finding[] = [];
  const asked = new Map<string, Watched>();
  let [before, cause] = [new Map<string, Watched>(), ''];
  for (const event of events) {
    const data = event.data as Data;
    const call = String(data['call'] ?? '');
    const found = (message: string): void =>
      void findings.push({ invariant: 'I9', message: `${event.stream}@${event.revision} ${event.type} of ${call}: ${message}` });
    if (event.type === 'ApprovalRequested') {
      const { argsHash, quorum } = data as unknown as Watched;
      asked.set(call, { argsHash, quorum, agreed: new Map(), grant: undefined });
      continue;
    }
    // Calls of another branch; what is opened again with it needs an approval of its own.
    if (event.type === 'RunRewound') [before, cause] = [new Map(asked), causeOf(event)];
    if (event.type === 'RunRewound') asked.clear();
    const again = event.type === 'EffectIntended' && causeOf(event) === cause ? before.get(call) : undefined;
    if (again !== undefined) asked.set(call, { ...again, agreed: new Map(), grant: undefined });
    const watched = asked.get(call);
    if (watched !== undefined) follow(event, watched, { found, clockSkewMs });
  }
  return findings;
}

function causeOf({ metadata }: RecordedEvent): string {
  return String((metadata as Data)['$causationId']);
}

interface Following {
  readonly clockSkewMs: number;
  found(message: string): void;
}

function follow({ type, data, recordedAtMs }: RecordedEvent, watched: Watched, { found, clockSkewMs }: Following): void {
  const { grantId, argsHash, expiresAtMs, vote, args } = data as {
    grantId?: string;
    argsHash?: string;
    expiresAtMs?: number;
    vote?: { statement: { approver: string; argsHash: string } };
    args?: unknown;
  };
  switch (type) {
    case 'ApprovalVoted': {
      const { approver, argsHash: on } = vote?.statement ?? { approver: '', argsHash: '' };
      if ([...watched.agreed.values()].some((persons) => persons.has(approver))) found(`${approver} has voted before`);
      watched.agreed.set(on, (watched.agreed.get(on) ?? new Set()).add(approver));
      return;
    }
    case 'ApprovalGranted':
      if ((watched.agreed.get(argsHash ?? '')?.size ?? 0) < watched.quorum) found(`fewer than ${watched.quorum} agree on it`);
      if (argsHash !== watched.argsHash && args === undefined) found('it is for other arguments than those intended');
      watched.grant = { id: grantId ?? '', expiresAtMs: expiresAtMs ?? 0 };
      return;
    case 'ApprovalDenied':
    case 'ApprovalExpired':
      watched.grant = undefined;
      return;
    case 'EffectDispatched':
      if (watched.grant === undefined) found('nobody has approved of it');
      else if (watched.grant.id !== grantId) found('it names another grant');
      else if (recordedAtMs - watched.grant.expiresAtMs > clockSkewMs + APPEND_MS_MAX) found('its grant had expired');
      return;
    case 'EffectConfirmed':
      if (watched.grant === undefined) found('it has happened, and nobody has approved of it');
  }
}

/** Decided in time, an append may wait for the store for so long. */
const APPEND_MS_MAX = 30_000;
