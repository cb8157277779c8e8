import { createHmac, randomBytes } from 'node:crypto';
import { ANONYMOUS, type Caller, UNRESTRICTED, callerOf } from './caller';
import { LOGIN_LENGTH_MAX, PASSWORD_LENGTH_MAX, type StoredUser } from './credentials-file';
import { FairQueue } from './fair-queue';
import { UNKNOWN_LOGIN, verifyPassword } from './password-hash';

// Who a header of HTTP Basic stands for.
//
// 1. A password is verified by scrypt once; after that a keyed digest of the header is enough. The key never leaves
//    this process, so the digests say nothing of the passwords.
// 2. One verification at a time, off the event loop: the disk's threads are never all taken by passwords.
// 3. Whoever guesses at one login does not keep the others out.

const VERIFIED_MAX = 10_000;
const REFUSED_MAX = 10_000;
/** A quarter of a second each: nobody waits much longer than a client does. */
const WAITING_PER_LOGIN_MAX = 8;
/** Both parts at their longest, four bytes a character, in base64. */
const HEADER_LENGTH_MAX = 6 * (LOGIN_LENGTH_MAX + PASSWORD_LENGTH_MAX);
const BASIC = /^Basic +([A-Za-z0-9+/]+=*)$/i;
/** No login is empty. */
const UNKNOWN_NAME = '';

export class Unauthenticated extends Error {
  constructor(message = 'Login or password are wrong, or the login is disabled.') {
    super(message);
    this.name = 'Unauthenticated';
  }
}

export class TooManyLogins extends Error {
  constructor() {
    super('Too many passwords of this login wait to be verified: try again in some seconds.');
    this.name = 'TooManyLogins';
  }
}

interface KnownUser {
  readonly stored: StoredUser;
  readonly caller: Caller;
}

/** Whom a server lets in. */
export interface Gate {
  /**
   * At once for who is known already.
   * @throws Unauthenticated, TooManyLogins, also as rejections
   */
  authenticate(header: string | undefined): Caller | Promise<Caller>;
  /** False when the user of a call was changed, disabled or removed since the call began. */
  isCurrent(caller: Caller): boolean;
}

/** Of a server without credentials. */
export const OPEN_GATE: Gate = { authenticate: () => UNRESTRICTED, isCurrent: () => true };

export class Authenticator implements Gate {
  private readonly key = randomBytes(32);
  private readonly queue = new FairQueue(WAITING_PER_LOGIN_MAX);
  private users = new Map<string, KnownUser>();
  private readonly verified = new Map<string, Caller>();
  private readonly refused = new Set<string>();
  private readonly verifying = new Map<string, Promise<Caller>>();

  constructor(users: readonly StoredUser[]) {
    this.replaceUsers(users);
  }

  /** Users that did not change stay who they are; all others are strangers from now on. */
  replaceUsers(users: readonly StoredUser[]): void {
    const before = this.users;
    this.users = new Map();
    for (const stored of users) {
      if (stored.disabled) continue;
      const known = before.get(stored.login);
      const isSame = known !== undefined && JSON.stringify(known.stored) === JSON.stringify(stored);
      this.users.set(stored.login, isSame ? known : { stored, caller: callerOf(stored.login, stored.groups) });
    }
    for (const [digest, caller] of this.verified) if (!this.isCurrent(caller)) this.verified.delete(digest);
    this.refused.clear();
  }

  isCurrent(caller: Caller): boolean {
    return caller.login === undefined || this.users.get(caller.login)?.caller === caller;
  }

  authenticate(header: string | undefined): Caller | Promise<Caller> {
    if (header === undefined) return ANONYMOUS;
    if (header.length > HEADER_LENGTH_MAX) throw new Unauthenticated();
    const digest = createHmac('sha256', this.key).update(header).digest('base64');
    const known = this.verified.get(digest);
    if (known !== undefined) return known;
    if (this.refused.has(digest)) throw new Unauthenticated();
    return this.verifying.get(digest) ?? this.verify(header, digest);
  }

  private verify(header: string, digest: string): Promise<Caller> {
    const { login, password } = partsOf(header);
    const { users } = this;
    const user = users.get(login);
    const verification = new Promise<Caller>((resolve, reject) => {
      const isQueued = this.queue.add(user === undefined ? UNKNOWN_NAME : login, async () => {
        const isRight = await verifyPassword(password, user?.stored.password ?? UNKNOWN_LOGIN).catch(() => false);
        // The users may have been replaced meanwhile.
        if (isRight && user !== undefined && this.isCurrent(user.caller)) {
          remember(this.verified, digest, user.caller);
          resolve(user.caller);
          return;
        }
        if (this.users === users) rememberRefused(this.refused, digest);
        reject(new Unauthenticated());
      });
      if (!isQueued) reject(new TooManyLogins());
    });
    this.verifying.set(digest, verification);
    const forget = (): boolean => this.verifying.delete(digest);
    verification.then(forget, forget);
    return verification;
  }
}

function partsOf(header: string): { readonly login: string; readonly password: string } {
  const [, encoded] = BASIC.exec(header) ?? [];
  const text = Buffer.from(encoded ?? '', 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 1) throw new Unauthenticated('Credentials are wanted as HTTP Basic: a login and a password.');
  return { login: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** The oldest goes when there is no room. */
function remember(verified: Map<string, Caller>, digest: string, caller: Caller): void {
  const [oldest] = verified.keys();
  if (verified.size >= VERIFIED_MAX && oldest !== undefined) verified.delete(oldest);
  verified.set(digest, caller);
}

function rememberRefused(refused: Set<string>, digest: string): void {
  const [oldest] = refused;
  if (refused.size >= REFUSED_MAX && oldest !== undefined) refused.delete(oldest);
  refused.add(digest);
}
