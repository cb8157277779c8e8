import { PAYLOAD_BYTES_MAX, REQUEST_BYTES_MAX, type CommandEnvelopeInput } from '@perdure/run-contract';
import { commandIdAt, START_MS } from '@perdure/testing';
import { parseRequest } from './request';

const envelope = (command: CommandEnvelopeInput['command']): CommandEnvelopeInput => ({
  v: 1,
  id: commandIdAt(START_MS),
  actor: { kind: 'user', id: 'ann' },
  command,
});
const parse = (value: unknown) => parseRequest(JSON.stringify(value));
const code = (parsed: ReturnType<typeof parseRequest>): string => ('error' in parsed ? parsed.error.code : 'none');

describe('a request', () => {
  it('is a command in its envelope', () => {
    expect(parse(envelope({ type: 'CancelRun' }))).toEqual({
      envelope: { ...envelope({ type: 'CancelRun', reason: 'cancelled by caller' }) },
    });
  });

  it.each(['', '{', 'null', '5', '"text"', '[]', '{}'])('is not %p, and nothing is thrown', (text) => {
    expect(['MalformedRequest', 'UnsupportedVersion']).toContain(code(parseRequest(text)));
  });

  it('of another version is refused by that name', () => {
    expect(code(parse({ ...envelope({ type: 'GetRun' }), v: 2 }))).toBe('UnsupportedVersion');
  });

  it.each<[string, unknown]>([
    ['a command that does not exist', { type: 'TeleportRun' }],
    ['a command of another shape', { type: 'FireTimer' }],
    ['an epoch that is no number', { type: 'RecordProgress', epoch: 'x', seq: 1, entries: [] }],
    [
      'too many entries',
      { type: 'RecordProgress', epoch: 1, seq: 1, entries: Array.from({ length: 513 }, () => ({ type: 'suspended' })) },
    ],
    [
      'a sleep that is too long',
      { type: 'RecordProgress', epoch: 1, seq: 1, entries: [{ type: 'timer-set', call: '1', delayMs: 1e15 }] },
    ],
    ['a pool that is no token', { type: 'StartRun', name: 'a', input: 1, pool: 'a.b' }],
  ])('with %s is refused, and told where', (_, command) => {
    const parsed = parse({ ...envelope({ type: 'GetRun' }), command });
    expect(code(parsed)).toBe('MalformedRequest');
    expect('error' in parsed && parsed.error.message).toContain('command');
  });

  it('with an id that does not say when it was made is refused: a repeat of it could not be recognised', () => {
    expect(code(parse({ ...envelope({ type: 'GetRun' }), id: 'b5b1a5e0-6f1c-4f5e-9d3a-2a1f0c9e8d7b' }))).toBe('MalformedRequest');
  });

  it('that is larger than any may be is refused unread', () => {
    expect(code(parseRequest('x'.repeat(REQUEST_BYTES_MAX + 1)))).toBe('PayloadTooLarge');
  });

  it('may hold several payloads, each within its own bound', () => {
    const value = (length: number) => ({ type: 'value' as const, call: '1', name: 'v', value: 'x'.repeat(length) });
    const report = (...lengths: readonly number[]) =>
      envelope({ type: 'RecordProgress', epoch: 1, seq: 1, entries: lengths.map(value) });
    expect(code(parse(report(PAYLOAD_BYTES_MAX - 1_000, PAYLOAD_BYTES_MAX - 1_000)))).toBe('none');
    expect(code(parse(report(10, PAYLOAD_BYTES_MAX + 1)))).toBe('PayloadTooLarge');
    expect(code(parse(envelope({ type: 'StartRun', name: 'a', input: 'x'.repeat(PAYLOAD_BYTES_MAX) })))).toBe('PayloadTooLarge');
    expect(code(parse(envelope({ type: 'StartRun', name: 'a', input: 'x'.repeat(PAYLOAD_BYTES_MAX - 10) })))).toBe('none');
  });
});
