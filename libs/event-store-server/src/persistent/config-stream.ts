import type { StoreEngine } from '../engine/store-engine';
import type { EventFilter, Start } from '../wire/requests';
import { CONFIG_STREAM, parsePlace, placeText } from './group-names';
import { type GroupSettings } from '../wire/persistent-requests';
import { type GroupEntry, settingsFault } from './group-settings';
import { type Written, json, lastState, writeMetadata, writeState } from './state-streams';

// All groups in one event, as EventStoreDB writes them: the newest counts. `startsAfter` is this server's own.

const CONFIG_TYPE = '$PersistentConfig';
const CONFIG_VERSION = '2';
const CONFIGS_KEPT = 2;
/** As large as an append may be: some 2,000 groups. */
export const CONFIG_BYTES_MAX = 1024 * 1024;
const END_PLACE = -1;

export class ConfigUnreadable extends Error {
  constructor(reason: string, cause?: unknown) {
    super(`The newest event of ${CONFIG_STREAM} cannot be used: ${reason}. Append one that can, or delete the stream.`, {
      cause,
    });
    this.name = 'ConfigUnreadable';
  }
}

/** @throws ConfigUnreadable, EventDamaged */
export function readConfig(engine: StoreEngine): readonly GroupEntry[] {
  const text = lastState(engine, CONFIG_STREAM);
  if (text === undefined) return [];
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new ConfigUnreadable('it is not JSON', error);
  }
  const { entries } = fieldsOf(parsed);
  if (!Array.isArray(entries)) throw new ConfigUnreadable('it has no list of entries');
  return entries.map((entry) => parseEntry(fieldsOf(entry)));
}

export function configBytes(entries: Iterable<GroupEntry>, nowMs: number): Buffer {
  const updated = new Date(nowMs).toISOString();
  return json({ version: CONFIG_VERSION, updated, updatedBy: 'admin', entries: [...entries].map(entryFields) });
}

export function writeConfig(engine: StoreEngine, data: Buffer, written: Written): void {
  const write = (): void => writeState(engine, { stream: CONFIG_STREAM, type: CONFIG_TYPE, data }, written);
  if (engine.index.find(CONFIG_STREAM)?.limits?.maxCount === CONFIGS_KEPT) return write();
  const metadata = { $maxCount: CONFIGS_KEPT };
  writeMetadata(engine, { stream: CONFIG_STREAM, metadata }, (failure) => (failure === undefined ? write() : written(failure)));
}

function entryFields({ source, group, filter, settings, startsAfter }: GroupEntry): Record<string, unknown> {
  return {
    stream: source,
    group,
    filter,
    resolveLinkTos: settings.resolveLinks,
    extraStatistics: settings.extraStatistics,
    messageTimeout: settings.messageTimeoutMs,
    startPosition: startText({ source, settings }),
    startsAfter,
    liveBufferSize: settings.liveBufferSize,
    historyBufferSize: settings.historyBufferSize,
    maxRetryCount: settings.maxRetryCount,
    readBatchSize: settings.readBatchSize,
    checkPointAfter: settings.checkpointAfterMs,
    minCheckPointCount: settings.minCheckpointCount,
    maxCheckPointCount: settings.maxCheckpointCount,
    maxSubscriberCount: settings.maxSubscriberCount,
    namedConsumerStrategy: settings.strategy,
  };
}

/** 0 = the start, -1 = the end. */
export function startText({ source, settings }: Pick<GroupEntry, 'source' | 'settings'>): string {
  const { start } = settings;
  return placeText({ source }, start === 'start' ? 0 : start === 'end' ? END_PLACE : start.at);
}

function parseStart(source: string, text: string): Start {
  if (text === placeText({ source }, END_PLACE)) return 'end';
  const place = parsePlace({ source }, text);
  if (place === undefined) throw new ConfigUnreadable(`${text} is not a place to start from`);
  return place === 0 ? 'start' : { at: place };
}

function parseEntry(fields: Record<string, unknown>): GroupEntry {
  const text = (name: string): string => {
    const value = fields[name];
    if (typeof value !== 'string' || value === '') throw new ConfigUnreadable(`an entry has no ${name}`);
    return value;
  };
  const count = (name: string): number => {
    const value = fields[name];
    if (!Number.isSafeInteger(value)) throw new ConfigUnreadable(`${name} of an entry is not a whole number`);
    return value as number;
  };
  const source = text('stream');
  const settings = {
    start: parseStart(source, text('startPosition')),
    resolveLinks: fields['resolveLinkTos'] === true,
    extraStatistics: fields['extraStatistics'] === true,
    messageTimeoutMs: count('messageTimeout'),
    maxRetryCount: count('maxRetryCount'),
    checkpointAfterMs: count('checkPointAfter'),
    minCheckpointCount: count('minCheckPointCount'),
    maxCheckpointCount: count('maxCheckPointCount'),
    maxSubscriberCount: count('maxSubscriberCount'),
    liveBufferSize: count('liveBufferSize'),
    readBatchSize: count('readBatchSize'),
    historyBufferSize: count('historyBufferSize'),
    strategy: text('namedConsumerStrategy'),
  };
  const fault = settingsFault(settings);
  if (fault !== undefined) throw new ConfigUnreadable(fault);
  const filter = parseFilter(fields['filter']);
  return { source, group: text('group'), filter, settings: settings as GroupSettings, startsAfter: count('startsAfter') };
}

function parseFilter(value: unknown): EventFilter | undefined {
  if (value === undefined) return undefined;
  const { on, regex, prefixes, checkpointInterval } = fieldsOf(value);
  const isText = (one: unknown): one is string => typeof one === 'string';
  if ((on !== 'stream-name' && on !== 'event-type') || !Array.isArray(prefixes) || !prefixes.every(isText)) {
    throw new ConfigUnreadable('a filter has another form');
  }
  if (!Number.isSafeInteger(checkpointInterval)) throw new ConfigUnreadable('a filter has another form');
  return { on, regex: isText(regex) ? regex : undefined, prefixes, checkpointInterval: checkpointInterval as number };
}

function fieldsOf(value: unknown): Record<string, unknown> {
  if (value === null || typeof value !== 'object') throw new ConfigUnreadable('it is not made of objects');
  return value as Record<string, unknown>;
}
