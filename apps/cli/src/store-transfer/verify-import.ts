import type { RawEvent } from '@perdure/platform-event-store-esdb';
import { DigestBook } from './digest-book';
import type { LogImport } from './import-log';
import { VerificationFailed } from './transfer.errors';

export interface VerifiedImport {
  readonly eventsVerified: number;
}

/**
 * Reads the target back: each stream begins with exactly what was imported, and what has ended has ended there. Events that
 * came later are not looked at.
 * @throws VerificationFailed
 */
export async function verifyImport(imported: LogImport, target: AsyncIterable<RawEvent>): Promise<VerifiedImport> {
  const found = new DigestBook();
  const missingEnds = new Set(imported.ended);
  let eventsVerified = 0;
  for await (const event of target) {
    if (event.isTombstone) missingEnds.delete(event.stream);
    else if (event.revision < imported.digests.countOf(event.stream)) {
      found.add(event);
      eventsVerified += 1;
    }
  }
  const differing = imported.digests.differencesIn(found).filter((stream) => !imported.ended.has(stream));
  if (differing.length + missingEnds.size > 0) throw new VerificationFailed([...differing, ...missingEnds]);
  return { eventsVerified };
}
