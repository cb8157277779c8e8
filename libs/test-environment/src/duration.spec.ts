import { millisecondsOf } from './duration';

describe('a duration', () => {
  it.each([
    ['30 days', 30 * 86_400_000],
    ['1 hour 30 minutes', 5_400_000],
    ['1 Week, 1 second', 604_801_000],
    ['0.5 seconds', 500],
    ['1 year', 365 * 86_400_000],
  ])('is said in words: %s', (text, expected) => {
    expect(millisecondsOf(text)).toBe(expected);
  });

  it('is the sum of what is named', () => {
    expect(millisecondsOf({ days: 1, hours: 1, minutes: 1, seconds: 1, milliseconds: 1 })).toBe(90_061_001);
  });

  it.each(['', 'soon', '30', '3 months', '-1 day', '1 day or so', 'days 3'])('is refused when it is none: %p', (text) => {
    expect(() => millisecondsOf(text)).toThrow(expect.objectContaining({ code: 'InvalidDuration' }) as Error);
  });

  it('does not go back', () => {
    expect(() => millisecondsOf({ days: -1 })).toThrow(expect.objectContaining({ code: 'InvalidDuration' }) as Error);
  });
});
