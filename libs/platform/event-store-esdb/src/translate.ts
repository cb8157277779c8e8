import type {
  AllStreamResolvedEvent,
  Position as ClientPosition,
  RecordedEvent as ClientEvent,
  ResolvedEvent,
} from '@eventstore/db-client';
import type { Position, RecordedEvent } from '@perdure/kernel';

/** Positions are text: they are stored verbatim and outgrow a JavaScript number. */
export function positionOf({ commit, prepare }: ClientPosition): Position {
  return { commit: commit.toString(10), prepare: prepare.toString(10) };
}

export function clientPosition({ commit, prepare }: Position): ClientPosition {
  return { commit: BigInt(commit), prepare: BigInt(prepare) };
}

/** Undefined for a link whose target is gone. */
export function recordedEventOf(resolved: ResolvedEvent | AllStreamResolvedEvent): RecordedEvent | undefined {
  const event = resolved.event as (ClientEvent & { readonly position?: ClientPosition }) | undefined;
  if (event === undefined) return undefined;
  return {
    id: event.id,
    type: event.type,
    data: event.data,
    metadata: event.metadata,
    stream: event.streamId,
    revision: Number(event.revision),
    position: positionOf(event.position ?? { commit: resolved.commitPosition ?? 0n, prepare: resolved.commitPosition ?? 0n }),
    recordedAtMs: event.created.getTime(),
  };
}

/** Metadata, link pointers and the like are written by the store itself. */
export function isSystemEvent({ type }: RecordedEvent): boolean {
  return type.startsWith('$');
}
