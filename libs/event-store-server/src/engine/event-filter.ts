import { RE2JS } from 're2js';
import { type EventFilter, FILTER_PREFIXES_MAX } from '../wire/requests';
import type { EventIndex } from './event-index';
import { patternCost } from './pattern-cost';

/** A pattern is a handful of names, not a program. */
const REGEX_CHARS_MAX = 4_096;
/** With its repetitions written out: memory, and time for each character of a name. */
const REGEX_COST_MAX = 5_000;
/** Streams whose names were decided lately, by the low bits of their number. */
const DECIDED_STREAMS = 1_024;
const UNKNOWN = 0;
const MATCHES = 1;
const DIFFERS = 2;

export class InvalidFilter extends Error {
  constructor(reason: string, cause?: unknown) {
    super(`The filter is not usable: ${reason}.`, { cause });
    this.name = 'InvalidFilter';
  }
}

/** Decides per event; each distinct event type is decided once, a stream name once as long as it is remembered. */
export class FilterMatcher {
  private readonly decidedTypes: number[] = [];
  /** Number of the stream, and whether it matches, in one number; 0 = none. */
  private readonly decidedStreams = new Float64Array(DECIDED_STREAMS);
  private readonly matchesText: (text: string) => boolean;

  constructor(
    private readonly index: EventIndex,
    private readonly filter: EventFilter,
  ) {
    if (filter.checkpointInterval < 1) throw new InvalidFilter('the checkpoint interval must be at least 1');
    this.matchesText = textMatcher(filter);
  }

  matches(event: number): boolean {
    return this.filter.on === 'stream-name' ? this.matchesStream(event) : this.matchesType(event);
  }

  private matchesStream(event: number): boolean {
    const stream = this.index.columns.stream(event);
    const at = stream & (DECIDED_STREAMS - 1);
    const decided = this.decidedStreams[at] as number;
    if (Math.floor(decided / 2) === stream + 1) return decided % 2 === 1;
    const matches = this.matchesText(this.index.streamNumbered(stream).name);
    this.decidedStreams[at] = 2 * (stream + 1) + (matches ? 1 : 0);
    return matches;
  }

  private matchesType(event: number): boolean {
    const type = this.index.columns.type(event);
    const decided = this.decidedTypes[type] ?? UNKNOWN;
    if (decided !== UNKNOWN) return decided === MATCHES;
    const matches = this.matchesText(this.index.typeOf(event));
    this.decidedTypes[type] = matches ? MATCHES : DIFFERS;
    return matches;
  }
}

function textMatcher({ regex, prefixes }: EventFilter): (text: string) => boolean {
  if (regex !== undefined) {
    const pattern = compile(regex);
    return (text) => pattern.test(text);
  }
  if (prefixes.length > FILTER_PREFIXES_MAX) throw new InvalidFilter(`it has more than ${FILTER_PREFIXES_MAX} prefixes`);
  if (prefixes.length === 0) throw new InvalidFilter('it has neither a regular expression nor a prefix');
  return (text) => prefixes.some((prefix) => text.startsWith(prefix));
}

/** RE2: its time grows with the text alone, whatever the pattern, so that no subscription can hold up the others. */
function compile(regex: string): RE2JS {
  if (regex.length > REGEX_CHARS_MAX) throw new InvalidFilter(`a regular expression has at most ${REGEX_CHARS_MAX} characters`);
  if (patternCost(regex) > REGEX_COST_MAX) throw new InvalidFilter('its repetitions make it too large');
  try {
    return RE2JS.compile(regex);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new InvalidFilter(`${reason}; lookaround and backreferences are not supported`, error);
  }
}
