import { hidingBefore, isSoftDelete } from './metadata-text';

describe('metadata as text', () => {
  it.each([
    ['{"$tb":9223372036854775807}', true],
    ['{"owner":"acme","$tb" : 9223372036854775807}', true],
    ['{"$tb":9223372036854775806}', false],
    ['{"$maxCount":3}', false],
    ['not json', false],
  ])('knows a soft delete: %s', (text, expected) => {
    expect(isSoftDelete(Buffer.from(text))).toBe(expected);
  });

  it.each([
    ['{}', '{"$tb":5}'],
    [' { "a": 1.50, "big": 9223372036854775807 }', '{"$tb":5,"a": 1.50, "big": 9223372036854775807 }'],
    ['{"$tb":3,"a":1}', '{"$tb":5,"a":1}'],
    ['{"a":1,"$tb": 7}', '{"a":1,"$tb": 7}'],
    ['{"$tb":9223372036854775807}', '{"$tb":9223372036854775807}'],
    ['', '{"$tb":5}'],
    ['[1]', '{"$tb":5}'],
  ])('hides what is before a revision and keeps the rest: %s', (text, expected) => {
    expect(hidingBefore(Buffer.from(text), 5).toString()).toBe(expected);
  });
});
