import { Cancelled, type Bus, type Host } from '@perdure/kernel';
import { journalSegment, requestSubject, runAddress, type Activate, type JournalItem } from '@perdure/run-contract';
import { ask, WITHDRAWN } from './ask';
import { JOURNAL_TIMEOUT_MS, SEGMENTS_AT_ONCE } from './bounds';

/** The part of a journal that its owner has sealed into segments: read when it is needed, and as much of it as is needed. */
export interface SealedJournal {
  /** In order; several segments are on their way at once. */
  all(): Promise<readonly JournalItem[]>;
  /** From the newest segment back until `isEnough` of what was read. */
  newest(isEnough: (items: readonly JournalItem[]) => boolean): Promise<readonly JournalItem[]>;
}

interface JournalReader {
  readonly host: Host;
  readonly bus: Bus;
  readonly workerId: string;
  /** Nobody wants it any more. */
  withdrawn(): boolean;
}

/** @returns undefined when nothing is sealed: all of the journal came with the order */
export function sealedJournal(order: Activate, reader: JournalReader): SealedJournal | undefined {
  const { segments } = order;
  const read = (index: number): Promise<readonly JournalItem[]> => segmentOf(order, index, reader);
  return segments === 0
    ? undefined
    : { all: () => readAll(segments, read), newest: (isEnough) => readBack(segments, read, isEnough) };
}

type ReadSegment = (index: number) => Promise<readonly JournalItem[]>;

async function readAll(count: number, read: ReadSegment): Promise<readonly JournalItem[]> {
  const segments = new Array<readonly JournalItem[]>(count);
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      const index = next;
      next += 1;
      segments[index] = await read(index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, SEGMENTS_AT_ONCE) }, lane));
  return segments.flat();
}

async function readBack(
  count: number,
  read: ReadSegment,
  isEnough: (items: readonly JournalItem[]) => boolean,
): Promise<readonly JournalItem[]> {
  let items: readonly JournalItem[] = [];
  for (let index = count - 1; index >= 0 && !isEnough(items); index -= 1) items = [...(await read(index)), ...items];
  return items;
}

/** @throws Cancelled `ActivationEnded`, or what the owner answers that is not worth a repeat */
async function segmentOf(
  { tenant, runId, epoch }: Activate,
  segment: number,
  { host, bus, workerId, withdrawn }: JournalReader,
): Promise<readonly JournalItem[]> {
  const subject = requestSubject.build(runAddress(tenant, runId));
  const command = { type: 'GetJournal', epoch, segment };
  const payload = JSON.stringify({ v: 1, id: host.entropy.uuid(), actor: { kind: 'worker', id: workerId }, command });
  const value = await ask({ bus, host }, { subject, payload, timeoutMs: JOURNAL_TIMEOUT_MS, withdrawn });
  if (value === WITHDRAWN) throw new Cancelled('ActivationEnded', 'This worker no longer holds the run.');
  return journalSegment.parse(value).items;
}
