import { scryptSync } from 'node:crypto';
import { Authenticator, TooManyLogins, Unauthenticated } from './authenticator';
import { ANONYMOUS } from './caller';
import type { StoredUser } from './credentials-file';

/** As cheap as scrypt gets: what is checked here is not how hard it is. */
function user(login: string, more: Partial<StoredUser> = {}, password = `password of ${login}`): StoredUser {
  const work = { cost: 2, blockSize: 1, parallelization: 1 };
  const salt = Buffer.from(login);
  const hash = scryptSync(password, salt, 32, { N: work.cost, r: work.blockSize, p: work.parallelization });
  const stored = { scheme: 'scrypt' as const, ...work, salt: salt.toString('base64'), hash: hash.toString('base64') };
  return { login, groups: [], disabled: false, password: stored, ...more };
}

const basic = (login: string, password = `password of ${login}`): string =>
  `Basic ${Buffer.from(`${login}:${password}`).toString('base64')}`;

describe('the authenticator', () => {
  it('knows a user by login and password, and by its groups', async () => {
    const gate = new Authenticator([user('alice', { groups: ['editors'] }), user('bob')]);
    const alice = await gate.authenticate(basic('alice'));
    expect([alice.login, [...alice.names]]).toEqual(['alice', ['alice', 'editors']]);
  });

  it('answers at once whom it has verified, and whom it has refused', async () => {
    const gate = new Authenticator([user('alice')]);
    const first = await gate.authenticate(basic('alice'));
    expect(gate.authenticate(basic('alice'))).toBe(first);
    await expect(gate.authenticate(basic('alice', 'guess'))).rejects.toThrow(Unauthenticated);
    expect(() => gate.authenticate(basic('alice', 'guess'))).toThrow(Unauthenticated);
  });

  it('verifies once what many calls ask at the same time', () => {
    const gate = new Authenticator([user('alice')]);
    expect(gate.authenticate(basic('alice'))).toBe(gate.authenticate(basic('alice')));
  });

  it('takes a colon and any letters in a password', async () => {
    const gate = new Authenticator([user('alice', {}, 'a:b:é€😀')]);
    expect(await gate.authenticate(basic('alice', 'a:b:é€😀'))).toMatchObject({ login: 'alice' });
  });

  it('refuses wrong, unknown and disabled ones alike', async () => {
    const gate = new Authenticator([user('alice'), user('bob', { disabled: true })]);
    for (const header of [basic('alice', 'password of bob'), basic('carol'), basic('bob'), basic('alice', '')])
      await expect(gate.authenticate(header)).rejects.toThrow('Login or password are wrong, or the login is disabled.');
  });

  it.each(['', 'Basic', 'Basic ', 'Bearer abc', 'Basic ****', `Basic ${'A'.repeat(20_000)}`, basic(''), 'Basic bm9jb2xvbg=='])(
    'refuses at once what is no HTTP Basic: %j',
    (header) => {
      expect(() => new Authenticator([user('alice')]).authenticate(header)).toThrow(Unauthenticated);
    },
  );

  it('lets a call without credentials be anonymous', () => {
    expect(new Authenticator([]).authenticate(undefined)).toBe(ANONYMOUS);
  });

  it('bounds the guesses that wait under one login, and keeps no other out', async () => {
    const gate = new Authenticator([user('alice'), user('bob')]);
    const guesses = await Promise.allSettled(
      Array.from({ length: 30 }, async (_, at) => gate.authenticate(basic('alice', `guess ${at}`))),
    );
    const reasons = guesses.map((guess) => (guess.status === 'rejected' ? (guess.reason as Error).name : 'let in'));
    expect(new Set(reasons)).toEqual(new Set([Unauthenticated.name, TooManyLogins.name]));
    const flood = Array.from({ length: 30 }, async (_, at) => gate.authenticate(basic('alice', `another ${at}`)));
    expect(await gate.authenticate(basic('bob'))).toMatchObject({ login: 'bob' });
    await Promise.allSettled(flood);
  });
});

describe('new users', () => {
  it('leave those alone that did not change, and make strangers of all others', async () => {
    const gate = new Authenticator([user('alice'), user('bob'), user('carol'), user('dave')]);
    const [alice, bob, carol, dave] = await Promise.all(
      ['alice', 'bob', 'carol', 'dave'].map(async (login) => gate.authenticate(basic(login))),
    );
    gate.replaceUsers([user('alice'), user('bob', { groups: ['editors'] }), user('dave', {}, 'new')]);
    expect([alice, bob, carol, dave].map((caller) => caller !== undefined && gate.isCurrent(caller))).toEqual([
      true,
      false,
      false,
      false,
    ]);
    expect(gate.authenticate(basic('alice'))).toBe(alice);
    expect([...(await gate.authenticate(basic('bob'))).names]).toEqual(['bob', 'editors']);
    await expect(gate.authenticate(basic('carol'))).rejects.toThrow(Unauthenticated);
    await expect(gate.authenticate(basic('dave'))).rejects.toThrow(Unauthenticated);
  });

  it('are let in though they were refused before', async () => {
    const gate = new Authenticator([]);
    await expect(gate.authenticate(basic('alice'))).rejects.toThrow(Unauthenticated);
    gate.replaceUsers([user('alice')]);
    expect(await gate.authenticate(basic('alice'))).toMatchObject({ login: 'alice' });
  });

  it('are what counts for a password that is being verified', async () => {
    const gate = new Authenticator([user('alice')]);
    const verification = gate.authenticate(basic('alice'));
    gate.replaceUsers([]);
    await expect(verification).rejects.toThrow(Unauthenticated);
  });
});
