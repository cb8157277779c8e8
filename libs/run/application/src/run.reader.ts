import { Terminal, type BlobStore, type EventStore, type Host, type KeyRing } from '@perdure/kernel';
import type { JournalItem, RecordedCall, RecordedRun, RunAddress } from '@perdure/run-contract';
import { isOpen, journalLength, tailItems, type OpenCall, type OpenRun } from '@perdure/run-domain';
import { RunCodec } from './run.codec';
import { RunLog } from './run.log';
import { Snapshots } from './snapshots';

/** Items of one journal that are handed out as a whole: one document of some hundred megabytes at the most. */
export const RECORDED_ITEMS_MAX = 100_000;

interface ReaderPorts {
  readonly store: EventStore;
  readonly blobs: BlobStore;
  readonly keys?: KeyRing;
  readonly host: Host;
}

/** Reads runs as they stand in the log, without being their owner: nothing that it answers is more than a moment's truth. */
export class RunReader {
  private readonly snapshots: Snapshots;
  private readonly log: RunLog;

  constructor(ports: ReaderPorts) {
    this.snapshots = new Snapshots(ports);
    this.log = new RunLog(ports, new RunCodec(ports), this.snapshots);
  }

  /**
   * What another build would go on from.
   * @throws Terminal `RunNotFound`, `RunAlreadyEnded`, `JournalTooLong`
   */
  async recorded(address: RunAddress): Promise<Omit<RecordedRun, 'turnsMax'>> {
    const run = await this.log.load(address);
    if (run.status === 'none') throw new Terminal('RunNotFound', `There is no run ${address.runId} of tenant ${address.tenant}.`);
    if (!isOpen(run)) throw new Terminal('RunAlreadyEnded', `The run ${address.runId} has ended: it goes on with nothing.`);
    const { kind, name, pool, input } = run.request;
    return {
      v: 1,
      ...address,
      kind,
      name,
      pool,
      status: run.status === 'placing' ? 'active' : run.status,
      revision: run.revision,
      ...(run.pin === undefined ? {} : { buildId: run.pin }),
      input,
      turn: run.turn,
      // The loop of an agent replays nothing.
      journal: kind === 'workflow' ? await this.journalOf(address, run) : [],
      open: [...run.calls.values()].map(recordedCallOf),
    };
  }

  private async journalOf(address: RunAddress, run: OpenRun): Promise<JournalItem[]> {
    const length = journalLength(run.journal);
    if (length > RECORDED_ITEMS_MAX)
      throw new Terminal(
        'JournalTooLong',
        `The journal of ${address.runId} has ${length} items; ${RECORDED_ITEMS_MAX} are read at the most. Let it go on with another run.`,
      );
    const items: JournalItem[] = [];
    for (let index = 0; index < run.journal.segments.length; index += 1) {
      const segment = await this.snapshots.segment(address, run, index);
      if (segment === undefined) throw new Terminal('SegmentNotFound', `Segment ${index} of ${address.runId} is not readable.`);
      for (const item of segment) items.push(item);
    }
    for (const item of tailItems(run.journal)) items.push(item);
    return items;
  }
}

function recordedCallOf(open: OpenCall): RecordedCall {
  const { call, kind } = open;
  switch (open.kind) {
    case 'tool':
      return {
        call,
        kind,
        name: open.tool,
        args: open.args,
        effectClass: open.effectClass,
        ...(open.execution?.hasProbe === true ? { mayBeProbed: true } : {}),
      };
    case 'model':
      return { call, kind, name: open.model };
    case 'sleep':
      return { call, kind, name: 'sleep' };
    case 'child':
    case 'message':
      return { call, kind, name: open.name };
    case 'wait':
      return { call, kind, name: open.signal };
  }
}
