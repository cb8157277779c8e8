import { Terminal } from '@perdure/kernel';

/** The client writes a subject to the wire as it is: nothing but these characters may reach it. */
const SUBJECT = /^[A-Za-z0-9_$-]{1,128}(\.[A-Za-z0-9_$=-]{1,128}){0,15}$/;
const PATTERN = /^([A-Za-z0-9_$-]{1,128}|\*)(\.([A-Za-z0-9_$=-]{1,128}|\*)){0,15}(\.>)?$/;

/** Where an answer may go: private inboxes only. A reply subject is chosen by the asker, and askers may be hostile. */
const INBOX = /^_INBOX(\.[A-Za-z0-9_-]{1,64}){1,4}$/;

const KEY = /^[A-Za-z0-9_-]{1,128}(\.[A-Za-z0-9_-]{1,128}){0,7}$/;

export function isInbox(text: string): boolean {
  return INBOX.test(text);
}

/** @throws Terminal `InvalidSubject` */
export function checkSubject(subject: string): string {
  if (SUBJECT.test(subject)) return subject;
  throw invalid('subject', subject);
}

/** @throws Terminal `InvalidSubject` unless it is a subject, `*` for a token and `>` at the end allowed */
export function checkPattern(pattern: string): string {
  if (PATTERN.test(pattern)) return pattern;
  throw invalid('subject pattern', pattern);
}

/** @throws Terminal `InvalidSubject` */
export function checkKey(key: string): string {
  if (KEY.test(key)) return key;
  throw invalid('key', key);
}

/** @throws Terminal `InvalidSubject` unless it is a key or a prefix with `.>`; `>` alone is all keys */
export function checkKeyPattern(keys: string): string {
  if (keys === '>' || KEY.test(keys.endsWith('.>') ? keys.slice(0, -2) : keys)) return keys;
  throw invalid('key pattern', keys);
}

/** Where the copy of a message that nobody can handle goes. */
export const deadLetterSubject = {
  build: (subject: string): string => `perdure.dead.${subject.replace(/^perdure\./, '')}`,
  parse: (subject: string): string => subject.replace(/^perdure\.dead\./, 'perdure.'),
};

function invalid(what: string, text: string): Terminal {
  return new Terminal('InvalidSubject', `${JSON.stringify(text.slice(0, 120))} is not a ${what} that may go to the bus.`, {
    details: { what },
  });
}
