import type { ConnectionReport, GroupReport, Rates } from '../wire/persistent-responses';
import { startText } from './config-stream';
import type { ConnectedConsumer } from './consumer';
import { placeText } from './group-names';
import type { GroupEntry } from './group-settings';
import type { PersistentGroup } from './persistent-group';

interface Measured {
  readonly group: PersistentGroup;
  readonly entry: GroupEntry;
  readonly checkpoint: number | undefined;
  readonly parkedCount: number;
  readonly nowMs: number;
}

/** Rates are those since the last report. */
export class GroupMeter {
  private measuredItems = 0;

  constructor(private measuredAtMs: number) {}

  report({ group, entry, checkpoint, parkedCount, nowMs }: Measured): GroupReport {
    const elapsedMs = nowMs - this.measuredAtMs;
    const { buffered, retries, inFlight } = group.counts;
    const report = {
      source: entry.source,
      group: entry.group,
      settings: entry.settings,
      startFrom: startText(entry),
      status: `${group.isLive ? 'Live' : 'Behind'}${group.isReplayingParked ? ', ReplayingParkedMessages' : ''}`,
      connections: [...group.consumers.values()].map((consumer) => connectionReport(consumer, elapsedMs)),
      rates: rates(group.totalItems, this.measuredItems, elapsedMs),
      checkpoint: checkpoint === undefined ? undefined : placeText(entry, checkpoint),
      lastKnown: group.lastKnown < 0 ? undefined : placeText(entry, group.lastKnown),
      buffered,
      retries,
      inFlight,
      parked: parkedCount,
    };
    this.measuredAtMs = nowMs;
    this.measuredItems = group.totalItems;
    return report;
  }
}

function connectionReport(connected: ConnectedConsumer, elapsedMs: number): ConnectionReport {
  const { consumer, inFlight, totalItems, measuredItems } = connected;
  connected.measuredItems = totalItems;
  return {
    from: consumer.from,
    connectionName: consumer.connectionName,
    rates: rates(totalItems, measuredItems, elapsedMs),
    availableSlots: consumer.bufferSize - inFlight,
    inFlight,
  };
}

function rates(totalItems: number, measuredItems: number, elapsedMs: number): Rates {
  const itemsSinceLastReport = totalItems - measuredItems;
  const itemsPerSecond = elapsedMs > 0 ? Math.floor((itemsSinceLastReport * 1000) / elapsedMs) : 0;
  return { totalItems, itemsSinceLastReport, itemsPerSecond };
}
