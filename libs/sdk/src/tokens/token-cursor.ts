import { Terminal } from '@perdure/kernel';
import type { TokenPlace } from '@perdure/run-contract';

/** How far a reader of tokens is: enough to go on, wherever. */
export interface TokenCursor {
  /** The next fact of the run to be read. */
  readonly revision: number;
  /** In which the run was last assigned, before that fact. */
  readonly epoch: number;
  /** Calls that are open, and what was shown of them. */
  readonly open: readonly TokenPlace[];
}

export const BEGINNING: TokenCursor = { revision: 0, epoch: 0, open: [] };

/** Beyond it a call is not named, and shown anew when it ends: a cursor travels with every event, in one header. */
const OPEN_NAMED_MAX = 16;
const LENGTH_MAX = 6_000;
const FORM = /^\d{1,15},\d{1,10}(;[^;,\s]{1,600},\d{1,10},\d{1,10},\d{1,10})*$/;

export function cursorText({ revision, epoch: assigned, open }: TokenCursor): string {
  const places = open
    .slice(0, OPEN_NAMED_MAX)
    .map(({ call, epoch, attempt, offset }) => `;${encodeURIComponent(call)},${epoch},${attempt},${offset}`);
  return `${revision},${assigned}${places.join('')}`;
}

/** @throws Terminal `MalformedRequest` */
export function parseCursor(text: string): TokenCursor {
  if (text.length > LENGTH_MAX || !FORM.test(text)) throw malformed();
  const [log = '', ...places] = text.split(';');
  const [revision, epoch] = log.split(',');
  return { revision: Number(revision), epoch: Number(epoch), open: places.map(parsePlace) };
}

function parsePlace(text: string): TokenPlace {
  const [call = '', epoch, attempt, offset] = text.split(',');
  try {
    return { call: decodeURIComponent(call), epoch: Number(epoch), attempt: Number(attempt), offset: Number(offset) };
  } catch {
    throw malformed();
  }
}

function malformed(): Terminal {
  return new Terminal('MalformedRequest', 'That is no id of an event of this stream. Give the last one that you got, or none.');
}
