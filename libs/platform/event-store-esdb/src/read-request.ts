import type { FollowAllOptions, Position } from '@perdure/kernel';
import { ProtoWriter } from '@perdure/platform-event-store-wire';

/** One stream, or all. The place is part of a page; a subscription begins after it. */
export type Source =
  { readonly stream: string; readonly from: number | 'start' | 'end' } | { readonly all: Position | 'start' | 'end' };

export interface Page {
  readonly direction: 'forward' | 'backward';
  readonly limit: number;
}

/** Events the server looks at between two checkpoints. */
const CHECKPOINT_WINDOW = 500;

/** A `ReadReq` for events that are there. */
export function pageRequest(source: Source, { direction, limit }: Page): Buffer {
  return requestOf(source, (options) => {
    options.uint(3, direction === 'forward' ? 0 : 1).uint(5, Math.min(limit, Number.MAX_SAFE_INTEGER));
    options.empty(8);
  });
}

/** A `ReadReq` for whatever comes after the place. */
export function subscriptionRequest(source: Source, filter?: FollowAllOptions['filter']): Buffer {
  return requestOf(source, (options) => {
    options.empty(6);
    if (filter === undefined) options.empty(8);
    else options.message(7, (message) => writeFilter(message, filter));
  });
}

function requestOf(source: Source, write: (options: ProtoWriter) => void): Buffer {
  const request = new ProtoWriter().message(1, (options) => {
    if ('all' in source) options.message(2, (all) => writeAll(all, source.all));
    else options.message(1, (one) => writeStream(one, source));
    write(options);
    options.message(9, (uuid) => uuid.empty(2));
  });
  return request.finish();
}

function writeAll(all: ProtoWriter, from: Position | 'start' | 'end'): void {
  if (from === 'start') all.empty(2);
  else if (from === 'end') all.empty(3);
  else all.message(1, (place) => place.unsignedText(1, from.commit).unsignedText(2, from.prepare));
}

function writeStream(one: ProtoWriter, { stream, from }: Extract<Source, { readonly stream: string }>): void {
  one.message(1, (identifier) => identifier.text(3, stream));
  if (from === 'start') one.empty(3);
  else if (from === 'end') one.empty(4);
  else one.uint(2, from);
}

function writeFilter(message: ProtoWriter, filter: FollowAllOptions['filter']): void {
  if (filter.by === 'stream-name') {
    message.message(1, (expression) => filter.prefixes.forEach((prefix) => expression.text(2, prefix)));
  } else {
    // A prefix would also match types that merely begin alike.
    const types = filter.types.map((type) => type.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    message.message(2, (expression) => expression.text(1, `^(?:${types.join('|')})$`));
  }
  message.uint(3, CHECKPOINT_WINDOW).uint(5, 1);
}
