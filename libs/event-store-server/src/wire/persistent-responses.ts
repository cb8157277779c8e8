import { ProtoWriter } from '@perdure/platform-event-store-wire';
import type { GroupKey, GroupSettings } from './persistent-requests';
import { frame } from './responses';

/** How a group is doing. Places are a revision, or a position as `C:n/P:n`. */
export interface GroupReport extends GroupKey {
  readonly status: string;
  readonly connections: readonly ConnectionReport[];
  readonly rates: Rates;
  readonly checkpoint: string | undefined;
  /** The last event that it knows of. */
  readonly lastKnown: string | undefined;
  readonly startFrom: string;
  readonly settings: GroupSettings;
  readonly buffered: number;
  readonly retries: number;
  readonly inFlight: number;
  readonly parked: number;
}

export interface ConnectionReport {
  readonly from: string;
  readonly connectionName: string;
  readonly rates: Rates;
  readonly availableSlots: number;
  readonly inFlight: number;
}

export interface Rates {
  readonly totalItems: number;
  readonly itemsSinceLastReport: number;
  readonly itemsPerSecond: number;
}

/** The answer of all that has nothing to say but yes. */
export const DONE = frame(Buffer.alloc(0));

/** What clients without access control are. */
const USERNAME = 'anonymous';

export interface DeliveredEvent {
  readonly event: Buffer | undefined;
  readonly link: Buffer | undefined;
  readonly position: number;
  readonly retryCount: number;
}

export function deliveredEvent({ event, link, position, retryCount }: DeliveredEvent): Buffer {
  const write = (inner: ProtoWriter): void => {
    if (event !== undefined) inner.data(1, event);
    if (link !== undefined) inner.data(2, link);
    inner.uint(3, position).uint(5, retryCount);
  };
  return frame(new ProtoWriter().message(1, write).finish());
}

export function groupInfo(report: GroupReport): Buffer {
  return frame(new ProtoWriter().message(1, (inner) => putReport(inner, report)).finish());
}

export function groupList(reports: readonly GroupReport[]): Buffer {
  const writer = new ProtoWriter();
  for (const report of reports) writer.message(1, (inner) => putReport(inner, report));
  return frame(writer.finish());
}

function putReport(writer: ProtoWriter, report: GroupReport): void {
  const { rates, checkpoint, lastKnown, settings } = report;
  writer.text(1, report.source).text(2, report.group).text(3, report.status);
  for (const connection of report.connections) writer.message(4, (inner) => putConnection(inner, connection));
  writer.uint(5, rates.itemsPerSecond).uint(6, rates.totalItems).uint(7, rates.itemsSinceLastReport);
  if (checkpoint !== undefined) writer.text(8, checkpoint);
  if (lastKnown !== undefined) writer.text(9, lastKnown);
  writer
    .uint(10, settings.resolveLinks ? 1 : 0)
    .text(11, report.startFrom)
    .uint(12, settings.messageTimeoutMs)
    .uint(13, settings.extraStatistics ? 1 : 0)
    .uint(14, settings.maxRetryCount)
    .uint(15, settings.liveBufferSize)
    .uint(16, settings.historyBufferSize)
    .uint(17, settings.readBatchSize)
    .uint(18, settings.checkpointAfterMs)
    .uint(19, settings.minCheckpointCount)
    .uint(20, settings.maxCheckpointCount)
    .uint(21, report.buffered)
    // The log itself is what others keep in a live buffer.
    .uint(22, 0)
    .uint(23, report.retries)
    .uint(24, report.inFlight)
    .uint(25, report.inFlight)
    .text(26, settings.strategy)
    .uint(27, settings.maxSubscriberCount)
    .uint(28, report.parked);
}

function putConnection(writer: ProtoWriter, { from, connectionName, rates, availableSlots, inFlight }: ConnectionReport): void {
  writer
    .text(1, from)
    .text(2, USERNAME)
    .uint(3, rates.itemsPerSecond)
    .uint(4, rates.totalItems)
    .uint(5, rates.itemsSinceLastReport)
    .uint(7, availableSlots)
    .uint(8, inFlight)
    .text(9, connectionName);
}
