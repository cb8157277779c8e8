import { randomUUID } from 'node:crypto';
import { idFromText } from '../wire/event-id';

/** For the few events that the server itself writes. */
export function newEventId(): Buffer {
  return idFromText(randomUUID()) as Buffer;
}
