import { NO_SETTINGS, type StreamAcl, readAcl, readAclSettings } from '../engine/stream-acl';
import { ANONYMOUS, UNRESTRICTED, callerOf } from './caller';
import { type StreamAction, isAllowed } from './decide-access';

const root = callerOf('root', ['$admins']);
const operator = callerOf('otto', ['$ops']);
const alice = callerOf('alice', ['editors']);
const bob = callerOf('bob', []);

const ACTIONS: readonly StreamAction[] = ['read', 'write', 'delete'];

function world(metadata: Readonly<Record<string, unknown>> = {}, settings?: unknown) {
  const acls = {
    aclOf: (stream: string): StreamAcl | undefined => readAcl(metadata[stream]),
    settings: () => (settings === undefined ? NO_SETTINGS : readAclSettings(JSON.stringify(settings))),
  };
  return (caller: typeof bob, action: StreamAction, stream: string): boolean => isAllowed(caller, { action, stream }, acls);
}

describe('access without any list', () => {
  it('gives user streams to everybody with credentials, and system streams to administrators', () => {
    const may = world();
    for (const action of ACTIONS) {
      expect(may(bob, action, 'orders')).toBe(true);
      expect(may(bob, action, '$users')).toBe(false);
      expect(may(operator, action, '$users')).toBe(false);
      expect(may(root, action, '$users')).toBe(true);
      expect(may(ANONYMOUS, action, 'orders')).toBe(false);
    }
  });

  it('gives the whole log to administrators, and lets nobody write or delete it', () => {
    const may = world();
    expect([root, operator, bob].map((caller) => may(caller, 'read', '$all'))).toEqual([true, false, false]);
    expect([may(root, 'write', '$all'), may(root, 'delete', '$all')]).toEqual([false, false]);
  });

  it('refuses nothing on a server without credentials', () => {
    const may = world({ orders: { $r: [] } });
    for (const stream of ['orders', '$all', '$$orders', '$users']) {
      for (const action of ACTIONS) expect(may(UNRESTRICTED, action, stream)).toBe(true);
    }
  });
});

describe('an access list', () => {
  it('names logins and groups, one or many, for each right by itself', () => {
    const may = world({ orders: { $r: 'editors', $w: ['bob', 'carol'], $d: [] } });
    expect(ACTIONS.map((action) => may(alice, action, 'orders'))).toEqual([true, false, false]);
    expect(ACTIONS.map((action) => may(bob, action, 'orders'))).toEqual([false, true, false]);
    expect(ACTIONS.map((action) => may(root, action, 'orders'))).toEqual([true, true, true]);
  });

  it('opens a system stream or the whole log, but not to callers without credentials', () => {
    const may = world({ $all: { $r: ['$all'] }, $stats: { $r: 'bob' } });
    expect([may(bob, 'read', '$all'), may(ANONYMOUS, 'read', '$all')]).toEqual([true, false]);
    expect([may(bob, 'read', '$stats'), may(alice, 'read', '$stats'), may(bob, 'write', '$stats')]).toEqual([true, false, false]);
  });

  it('judges a metastream by the stream that it describes', () => {
    const may = world({ orders: { $r: [], $w: [], $mr: 'alice', $mw: 'bob' } });
    expect([may(alice, 'read', '$$orders'), may(bob, 'read', '$$orders')]).toEqual([true, false]);
    expect([may(alice, 'write', '$$orders'), may(bob, 'write', '$$orders')]).toEqual([false, true]);
    expect([may(root, 'delete', '$$orders'), may(bob, 'delete', '$$orders')]).toEqual([false, false]);
    expect([may(bob, 'read', '$$$users'), may(bob, 'write', '$$$settings')]).toEqual([false, false]);
  });

  it('has no effect in the metadata of metadata', () => {
    const may = world({ $$orders: { $mr: '$all', $mw: '$all' } });
    expect([may(bob, 'write', '$$$$orders'), may(root, 'write', '$$$$orders')]).toEqual([false, true]);
  });

  it.each([[17], ['editors'], [['editors']], [{ $r: 5, $w: [5], $d: {}, $mr: [['x']], $mw: true }]])(
    'that cannot be read names nobody: %j',
    (acl) => {
      const may = world({ orders: acl });
      for (const stream of ['orders', '$$orders']) {
        for (const action of ACTIONS) expect(may(alice, action, stream)).toBe(false);
      }
      expect(may(root, 'read', 'orders')).toBe(true);
    },
  );
});

describe('the settings', () => {
  it('replace the defaults, right by right, and a stream replaces them in turn', () => {
    const may = world(
      { open: { $w: '$all' } },
      { $userStreamAcl: { $w: ['editors'] }, $systemStreamAcl: { $r: '$all', $mr: 'bob' } },
    );
    expect([may(alice, 'write', 'orders'), may(bob, 'write', 'orders'), may(bob, 'read', 'orders')]).toEqual([true, false, true]);
    expect(may(bob, 'write', 'open')).toBe(true);
    expect([may(bob, 'read', '$users'), may(bob, 'write', '$users'), may(bob, 'read', '$$$users')]).toEqual([true, false, true]);
  });

  it.each(['', 'no json', '[]', '7', 'null', '{"$userStreamAcl":null}'])('that say nothing leave the defaults: %j', (text) => {
    expect(readAclSettings(text)).toEqual(NO_SETTINGS);
  });
});

describe('running the server', () => {
  it('is for operators and administrators, what is not named for administrators alone', () => {
    const acls = { aclOf: () => undefined, settings: () => NO_SETTINGS };
    const callers = [root, operator, alice, ANONYMOUS, UNRESTRICTED];
    expect(callers.map((caller) => isAllowed(caller, { action: 'operate' }, acls))).toEqual([true, true, false, false, true]);
    expect(callers.map((caller) => isAllowed(caller, { action: 'administer' }, acls))).toEqual([true, false, false, false, true]);
  });
});
