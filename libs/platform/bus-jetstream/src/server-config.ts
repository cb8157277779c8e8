import { MESSAGE_BYTES_MAX } from '@perdure/kernel';
import { MEMORY_STORE_BYTES_MAX, STORE_BYTES_MAX } from './limits';

export interface BrokerUser {
  readonly user: string;
  readonly pass: string;
}

export interface BrokerUsers {
  /** Services: everything within the account, JetStream included, but what is said to the signer. */
  readonly service: BrokerUser;
  /** The second connection of services: may only write answers into private inboxes. */
  readonly responder: BrokerUser;
  /** Reads the broker's own news, such as lost connections. */
  readonly system: BrokerUser;
  /** Workers: ask, answer, be asked; no JetStream, no facts, no commands in another's name. */
  readonly worker: BrokerUser;
  /** The signer: hears what persons say to it, and speaks to the owners of runs and tenants. */
  readonly signer: BrokerUser;
}

export interface ServerConfigOptions {
  /** -1: any free port, written to a file in `portsFileDir`. */
  readonly port: number;
  readonly host?: string;
  readonly storeDir: string;
  readonly portsFileDir?: string;
  readonly pidFile?: string;
  readonly logFile?: string;
  readonly users: BrokerUsers;
  readonly storeBytesMax?: number;
}

/** Passwords of one installation: `secret` gives at least 128 bits of chance, letters and digits only. */
export function newBrokerUsers(secret: () => string): BrokerUsers {
  const user = (name: string): BrokerUser => ({ user: name, pass: secret() });
  return {
    service: user('service'),
    responder: user('responder'),
    system: user('system'),
    worker: user('worker'),
    signer: user('signer'),
  };
}

/**
 * The configuration of one embedded broker. The file holds passwords: mode 0600.
 *
 * 1. `sync_interval: always`: what `COMMANDS` has acknowledged survives a loss of power. Streams that can be
 *    rebuilt opt out of waiting for the disk by their own persist mode.
 * 2. The partition of an id is computed here and nowhere else on the way: FNV-1a, 32 bits, of the last token.
 * 3. The broker checks permissions *after* the mapping, so users are granted the mapped subjects.
 * 4. Its queue of a stream holds many publishers' windows; what exceeds it would be dropped without a word.
 */
export function natsServerConfig(options: ServerConfigOptions): string {
  const { users } = options;
  return `# Written by perdure; changes are overwritten.
listen: ${quoted(`${options.host ?? '127.0.0.1'}:${options.port}`)}
server_name: "perdure"
${optional('ports_file_dir', options.portsFileDir)}${optional('pid_file', options.pidFile)}${optional('log_file', options.logFile)}max_payload: ${MESSAGE_BYTES_MAX}
max_control_line: 4096
ping_interval: "5s"
ping_max: 2
write_deadline: "10s"
lame_duck_duration: "30s"
jetstream {
  store_dir: ${quoted(options.storeDir)}
  sync_interval: always
  max_file_store: ${options.storeBytesMax ?? STORE_BYTES_MAX}
  max_memory_store: ${MEMORY_STORE_BYTES_MAX}
  max_buffered_msgs: 200000
}
system_account: SYS
accounts {
  SYS {
    users: [ ${login(users.system)} ]
  }
  PERDURE {
    jetstream: enabled
    users: [
      ${login(users.service, 'subscribe: { deny: ["perdure.signer.>"] }')}
      ${login(users.responder, 'publish: { allow: ["_INBOX.>"] }, subscribe: { deny: [">"] }')}
      ${login(users.worker, workerPermissions())}
      ${login(users.signer, 'publish: { allow: ["perdure.part.*.req.>", "_INBOX.>"] }, subscribe: { allow: ["perdure.signer.>", "_INBOX.>"] }')}
    ]
    mappings: {
${['req', 'cmd'].map(mapping).join('\n')}
    }
  }
}
`;
}

/** `perdure.req.<tenant>.<context>.<id>` gains the partition of its id; likewise commands. */
function mapping(kind: string): string {
  return `      "perdure.${kind}.*.*.*": "perdure.part.{{partition(256,3)}}.${kind}.{{wildcard(1)}}.{{wildcard(2)}}.{{wildcard(3)}}"`;
}

function workerPermissions(): string {
  const publish = ['perdure.part.*.req.>', 'perdure.signer.*', 'perdure.svc.>', 'perdure.tok.>', '_INBOX.>'];
  // Whoever may ask about a run may read its tokens: callers have this login, too.
  const subscribe = ['perdure.work.>', 'perdure.svc.>', 'perdure.tok.>', '_INBOX.>'];
  const list = (subjects: readonly string[]): string => `[${subjects.map(quoted).join(', ')}]`;
  return `publish: { allow: ${list(publish)} }, subscribe: { allow: ${list(subscribe)} }`;
}

function login({ user, pass }: BrokerUser, permissions?: string): string {
  return `{ user: ${quoted(user)}, password: ${quoted(pass)}${permissions === undefined ? '' : `, permissions: { ${permissions} }`} }`;
}

function optional(name: string, value: string | undefined): string {
  return value === undefined ? '' : `${name}: ${quoted(value)}\n`;
}

function quoted(text: string): string {
  return JSON.stringify(text);
}
