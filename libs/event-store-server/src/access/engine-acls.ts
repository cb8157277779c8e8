import { NO_SETTINGS, SETTINGS_STREAM, readAclSettings } from '../engine/stream-acl';
import type { StoreEngine } from '../engine/store-engine';
import { recordedEventOf } from '../store/record';
import { dataOfRecordedEvent } from '../wire/recorded-event';
import type { KnownAcls } from './decide-access';

const NOTHING_READ = -1;

/** The access lists that the log holds. The settings are read again when their stream has a newer event. */
export function engineAcls(engine: StoreEngine): KnownAcls {
  const { index } = engine;
  let settings = NO_SETTINGS;
  let readAt = NOTHING_READ;
  return {
    aclOf: (stream) => index.find(stream)?.limits?.acl,
    settings() {
      const stream = index.find(SETTINGS_STREAM);
      const end = stream === undefined || stream.isTombstoned ? 0 : stream.visibleEnd(index.visible);
      if (stream === undefined || end === 0) return NO_SETTINGS;
      const event = stream.event(end - 1);
      // Durable events keep their position.
      const position = index.columns.position(event);
      if (position !== readAt) {
        settings = readAclSettings(dataOfRecordedEvent(recordedEventOf(engine.record(event))).toString('utf8'));
        readAt = position;
      }
      return settings;
    },
  };
}
