import { retryDelayMs } from './jetstream-command-bus';
import { isTooOld } from './link';
import { checkKeyPattern, checkPattern, deadLetterSubject, isInbox } from './subjects';

describe('the version of the broker', () => {
  it.each(['2.9.10', '2.11.9', '1.99.0', '0'])('%s is too old', (version) => expect(isTooOld(version)).toBe(true));
  it.each(['2.12.0', '2.15.1', '2.12.0-RC.1', '3.0.0'])('%s is good', (version) => expect(isTooOld(version)).toBe(false));
});

describe('where an answer may go', () => {
  it.each(['_INBOX.abc.1', '_INBOX.a-b_c.r.1f'])('%s', (reply) => expect(isInbox(reply)).toBe(true));
  it.each([
    '$JS.API.STREAM.PURGE.EVENTS',
    '_INBOX',
    '_INBOX.',
    '_INBOX.>',
    '_INBOX.a.*',
    '_INBOXES.a',
    'perdure.evt.a',
    '_INBOX.a\r\nPUB x 0',
    '',
  ])('never %j', (reply) => expect(isInbox(reply)).toBe(false));
});

describe('patterns', () => {
  it.each(['perdure.evt.>', 'perdure.*.req.*.run.*', '*'])('%s may be subscribed to', (pattern) =>
    expect(checkPattern(pattern)).toBe(pattern),
  );
  it.each(['>', 'a.>.b', 'a.b*', '', 'a\r\nb'])('%j may not', (pattern) =>
    expect(() => checkPattern(pattern)).toThrow(/not a subject pattern/),
  );
  it('of keys are a key, a prefix or all', () => {
    expect(['a', 'a.b', 'a.>', '>'].map(checkKeyPattern)).toEqual(['a', 'a.b', 'a.>', '>']);
    expect(() => checkKeyPattern('a.*')).toThrow(/not a key pattern/);
  });
});

it('a dead letter remembers its subject', () => {
  expect(deadLetterSubject.parse(deadLetterSubject.build('perdure.part.7.cmd.acme.run.r1'))).toBe(
    'perdure.part.7.cmd.acme.run.r1',
  );
});

it('delays grow to a bound', () => {
  expect([1, 2, 3, 100].map(retryDelayMs)).toEqual([100, 200, 400, 30_000]);
});
