import type { EventFilter } from '../wire/requests';
import type { EventIndex } from './event-index';

const UNKNOWN = 0;
const MATCHES = 1;
const DIFFERS = 2;

export class InvalidFilter extends Error {
  constructor(reason: string, cause?: unknown) {
    super(`The filter is not usable: ${reason}.`, { cause });
    this.name = 'InvalidFilter';
  }
}

/** Decides per event; for event types each distinct type is decided once. */
export class FilterMatcher {
  private readonly decidedTypes: number[] = [];
  private readonly matchesText: (text: string) => boolean;

  constructor(
    private readonly index: EventIndex,
    private readonly filter: EventFilter,
  ) {
    if (filter.checkpointInterval < 1) throw new InvalidFilter('the checkpoint interval must be at least 1');
    this.matchesText = textMatcher(filter);
  }

  matches(event: number): boolean {
    if (this.filter.on === 'stream-name') return this.matchesText(this.index.streamOf(event).name);
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
  if (prefixes.length === 0) throw new InvalidFilter('it has neither a regular expression nor a prefix');
  return (text) => prefixes.some((prefix) => text.startsWith(prefix));
}

function compile(regex: string): RegExp {
  try {
    return new RegExp(regex);
  } catch (error) {
    throw new InvalidFilter('the regular expression is not valid', error);
  }
}
