import { filterOf } from './bulk';

describe('the filter of a bulk action', () => {
  it('names status, name and age', () => {
    expect(filterOf('status=paused,name=order,older-than=2h')).toEqual({
      status: 'paused',
      name: 'order',
      olderThanMs: 7_200_000,
    });
    expect(filterOf('older-than=250')).toEqual({ olderThanMs: 250 });
  });

  it.each(['colour=red', 'older-than=soon', 'older-than=5w', ''])('refuses %j', (text) => {
    expect(() => filterOf(text)).toThrow(expect.objectContaining({ code: 'BadUsage' }));
  });
});
