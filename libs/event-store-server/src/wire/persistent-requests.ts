import { ProtoReader } from '@perdure/platform-event-store-wire';
import { readId } from './event-id';
import { type EventFilter, type Start, placeOf, readFilter, readStreamName, readUuidOption } from './requests';

const STRATEGIES = ['DispatchToSingle', 'RoundRobin', 'Pinned', 'PinnedByCorrelation'];
const TICKS_PER_MS = 10_000;
const INT32_MAX = 0x7fffffff;

export type StrategyName = 'RoundRobin' | 'DispatchToSingle' | 'Pinned' | 'PinnedByCorrelation';

/** The event source of groups that read the whole log. */
export const ALL = '$all';

export interface GroupSettings {
  readonly start: Start;
  readonly resolveLinks: boolean;
  readonly extraStatistics: boolean;
  /** 0 = messages do not time out. */
  readonly messageTimeoutMs: number;
  readonly maxRetryCount: number;
  readonly checkpointAfterMs: number;
  readonly minCheckpointCount: number;
  readonly maxCheckpointCount: number;
  /** 0 = any number. */
  readonly maxSubscriberCount: number;
  readonly liveBufferSize: number;
  readonly readBatchSize: number;
  readonly historyBufferSize: number;
  readonly strategy: StrategyName;
}

export interface GroupKey {
  /** A stream, or `$all`. */
  readonly source: string;
  readonly group: string;
}

/** As requested: the name of the strategy may be any text. */
export type ProposedSettings = Omit<GroupSettings, 'strategy'> & { readonly strategy: string };

/** Create and Update have the same form; only Create has a filter. */
export interface GroupRequest extends GroupKey {
  readonly settings: ProposedSettings;
  readonly filter: EventFilter | undefined;
}

/** Numbers are signed on the wire: a negative one has ten bytes, and stays recognisable. */
function readCount(reader: ProtoReader): number {
  const value = reader.varint();
  return value > INT32_MAX ? -1 : value;
}

function readTicks(reader: ProtoReader): number {
  const ticks = reader.varint();
  return ticks > Number.MAX_SAFE_INTEGER ? -1 : Math.floor(ticks / TICKS_PER_MS);
}

/** Older clients, and the official one for Node, put the stream and the revision beside the options for streams. */
export function decodeGroupRequest(bytes: Buffer): GroupRequest {
  let source = '';
  let group = '';
  let settings: Settings = defaults();
  let start: Start | undefined;
  let filter: EventFilter | undefined;
  new ProtoReader(bytes).forEach((field, options) => {
    if (field !== 1) return;
    options.message((option, reader) => {
      if (option === 1) source = readStreamName(reader);
      else if (option === 2) group = reader.text();
      else if (option === 3) settings = readSettings(reader);
      else if (option === 4) ({ source, start } = readStreamStart(reader));
      else if (option === 5) {
        source = ALL;
        ({ start, filter } = readAllOptions(reader));
      }
    });
  });
  return { source, group, filter, settings: { ...settings, start: start ?? settings.start } };
}

type Settings = { -readonly [K in keyof ProposedSettings]: ProposedSettings[K] };

function defaults(): Settings {
  return {
    start: 'start',
    resolveLinks: false,
    extraStatistics: false,
    messageTimeoutMs: 0,
    maxRetryCount: 0,
    checkpointAfterMs: 0,
    minCheckpointCount: 0,
    maxCheckpointCount: 0,
    maxSubscriberCount: 0,
    liveBufferSize: 0,
    readBatchSize: 0,
    historyBufferSize: 0,
    strategy: 'DispatchToSingle',
  };
}

const SETTING_READERS: Readonly<Record<number, (settings: Settings, reader: ProtoReader) => void>> = {
  1: (settings, reader) => (settings.resolveLinks = reader.varint() !== 0),
  2: (settings, reader) => (settings.start = placeOf(reader.varint())),
  3: (settings, reader) => (settings.extraStatistics = reader.varint() !== 0),
  4: (settings, reader) => (settings.messageTimeoutMs = readTicks(reader)),
  5: (settings, reader) => (settings.maxRetryCount = readCount(reader)),
  6: (settings, reader) => (settings.checkpointAfterMs = readTicks(reader)),
  7: (settings, reader) => (settings.minCheckpointCount = readCount(reader)),
  8: (settings, reader) => (settings.maxCheckpointCount = readCount(reader)),
  9: (settings, reader) => (settings.maxSubscriberCount = readCount(reader)),
  10: (settings, reader) => (settings.liveBufferSize = readCount(reader)),
  11: (settings, reader) => (settings.readBatchSize = readCount(reader)),
  12: (settings, reader) => (settings.historyBufferSize = readCount(reader)),
  14: (settings, reader) => (settings.messageTimeoutMs = readCount(reader)),
  15: (settings, reader) => (settings.checkpointAfterMs = readCount(reader)),
};

function readSettings(reader: ProtoReader): Settings {
  const settings = defaults();
  let name = '';
  reader.message((field, inner) => {
    if (field === 16) name = inner.text();
    else if (field === 13) {
      const strategy = inner.varint();
      settings.strategy = STRATEGIES[strategy] ?? String(strategy);
    } else SETTING_READERS[field]?.(settings, inner);
  });
  // Newer clients name the strategy; the number beside it is then without meaning.
  if (name !== '') settings.strategy = name;
  if (typeof settings.start === 'object' && settings.start.at === 0) settings.start = 'start';
  return settings;
}

function readStreamStart(reader: ProtoReader): { source: string; start: Start } {
  let source = '';
  let start: Start = 'start';
  reader.message((field, inner) => {
    if (field === 1) source = readStreamName(inner);
    else if (field === 2) start = placeOf(inner.varint());
    else if (field === 3) start = 'start';
    else if (field === 4) start = 'end';
  });
  return { source, start };
}

function readAllOptions(reader: ProtoReader): { start: Start; filter: EventFilter | undefined } {
  let start: Start = 'start';
  let filter: EventFilter | undefined;
  reader.message((field, inner) => {
    if (field === 1) start = readPosition(inner);
    else if (field === 2) start = 'start';
    else if (field === 3) start = 'end';
    else if (field === 4) filter = readFilter(inner);
  });
  return { start, filter };
}

function readPosition(reader: ProtoReader): Start {
  let commit = 0;
  reader.message((field, inner) => {
    if (field === 1) commit = inner.varint();
  });
  return placeOf(commit);
}

interface KeyFields {
  readonly stream: number;
  readonly all: number;
  readonly group: number;
}

function readKey(bytes: Buffer, fields: KeyFields, more?: (field: number, reader: ProtoReader) => void): GroupKey {
  let source = '';
  let group = '';
  new ProtoReader(bytes).forEach((field, options) => {
    if (field !== 1) return;
    options.message((option, reader) => {
      if (option === fields.stream) source = readStreamName(reader);
      else if (option === fields.all) source = ALL;
      else if (option === fields.group) group = reader.text();
      else more?.(option, reader);
    });
  });
  return { source, group };
}

export function decodeGroupDelete(bytes: Buffer): GroupKey {
  return readKey(bytes, { stream: 1, all: 3, group: 2 });
}

export function decodeGetInfo(bytes: Buffer): GroupKey {
  return readKey(bytes, { stream: 1, all: 2, group: 3 });
}

export function decodeReplayParked(bytes: Buffer): GroupKey & { readonly stopAt: number | undefined } {
  let stopAt: number | undefined;
  const key = readKey(bytes, { stream: 2, all: 3, group: 1 }, (field, reader) => {
    if (field !== 4) return;
    const value = reader.varint();
    stopAt = value > Number.MAX_SAFE_INTEGER ? -1 : value;
  });
  return { ...key, stopAt };
}

/** Undefined = the groups of all sources. */
export function decodeList(bytes: Buffer): string | undefined {
  let source: string | undefined;
  new ProtoReader(bytes).forEach((field, options) => {
    if (field !== 1) return;
    options.message((option, reader) => {
      if (option !== 2) return;
      reader.message((kind, inner) => {
        source = kind === 1 ? readStreamName(inner) : ALL;
      });
    });
  });
  return source;
}

export type ConsumerMessage =
  | { readonly kind: 'connect'; readonly key: GroupKey; readonly bufferSize: number; readonly structuredIds: boolean }
  | { readonly kind: 'ack'; readonly ids: readonly string[] }
  | { readonly kind: 'nack'; readonly ids: readonly string[]; readonly action: number; readonly reason: string };

/** Undefined when it says nothing. */
export function decodeConsumerMessage(bytes: Buffer): ConsumerMessage | undefined {
  let message: ConsumerMessage | undefined;
  new ProtoReader(bytes).forEach((field, reader) => {
    if (field === 1) message = readConnect(reader);
    else if (field === 2) message = { kind: 'ack', ids: readAnswer(reader).ids };
    else if (field === 3) message = { kind: 'nack', ...readAnswer(reader) };
  });
  return message;
}

function readConnect(reader: ProtoReader): ConsumerMessage {
  let source = '';
  let group = '';
  let bufferSize = 0;
  let structuredIds = true;
  reader.message((field, inner) => {
    if (field === 1) source = readStreamName(inner);
    else if (field === 5) source = ALL;
    else if (field === 2) group = inner.text();
    else if (field === 3) bufferSize = readCount(inner);
    else if (field === 4) structuredIds = readUuidOption(inner);
  });
  return { kind: 'connect', key: { source, group }, bufferSize, structuredIds };
}

function readAnswer(reader: ProtoReader): { ids: string[]; action: number; reason: string } {
  const ids: string[] = [];
  let action = 0;
  let reason = '';
  reader.message((field, inner) => {
    if (field === 2) {
      const id = readId(inner);
      if (id !== undefined) ids.push(id.toString('hex'));
    } else if (field === 3) action = inner.varint();
    else if (field === 4) reason = inner.text();
  });
  return { ids, action, reason };
}
