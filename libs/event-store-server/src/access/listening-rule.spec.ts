import { EventStoreServerError } from '../errors';
import { checkHost, reachableHost, urlHost } from './listening-rule';

const BOTH = { hasTls: true, hasCredentials: true };
const NEITHER = { hasTls: false, hasCredentials: false };

describe('where the server listens', () => {
  it.each(['127.0.0.1', '127.8.9.1', '::1'])('%s needs no protection', (host) => {
    expect(() => checkHost(host, NEITHER)).not.toThrow();
  });

  it.each(['0.0.0.0', '::', '10.0.0.1', 'fe80::1', 'localhost', 'store.internal', '', '127.1', '127.0.0.1.example'])(
    '%j is refused without TLS and credentials',
    (host) => {
      for (const protection of [NEITHER, { ...BOTH, hasTls: false }, { ...BOTH, hasCredentials: false }])
        expect(() => checkHost(host, protection)).toThrow(EventStoreServerError);
      expect(() => checkHost(host, BOTH)).not.toThrow();
    },
  );

  it('is refused with words that say what is missing', () => {
    const refusal = (protection: typeof BOTH) => {
      try {
        checkHost('0.0.0.0', protection);
      } catch (error) {
        return error as EventStoreServerError;
      }
      return undefined;
    };
    expect(refusal(NEITHER)?.code).toBe('HostNotProtected');
    expect(refusal({ ...BOTH, hasTls: false })?.message).toMatch(/--tls-cert.*sends no credentials/);
    expect(refusal({ ...BOTH, hasCredentials: false })?.message).not.toContain('--tls-cert');
  });

  it('is told to clients of this machine as an address that they can reach', () => {
    expect(['0.0.0.0', '::', '10.0.0.1', 'store.internal'].map((host) => urlHost(reachableHost(host)))).toEqual([
      '127.0.0.1',
      '[::1]',
      '10.0.0.1',
      'store.internal',
    ]);
  });
});
