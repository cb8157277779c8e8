import { PerdureError, Retryable, Terminal } from '@perdure/kernel';

/** What a shell is told. */
export const EXIT = { ok: 0, failed: 1, usage: 2, unavailable: 3, interrupted: 130 } as const;

export class BadUsage extends Terminal {
  constructor(message: string) {
    super('BadUsage', message);
  }
}

export class GatewayUnreachable extends Retryable {
  constructor(url: string, cause: unknown) {
    super(
      'GatewayUnreachable',
      `Nothing answers at ${url}. Start a stack with \`./perdure dev\`, or name another gateway with --url or PERDURE_URL.`,
      { cause },
    );
  }
}

export class NotBuilt extends Terminal {
  constructor(command: string, path: string) {
    super(
      'NotBuilt',
      `The command "${command}" is not part of this checkout: ${path} does not exist. Start through ./perdure, which builds what is stale.`,
    );
  }
}

const USAGE_CODES = new Set([
  'BadUsage',
  'MalformedRequest',
  'InvalidInput',
  'UnknownAgent',
  'InvalidName',
  'PayloadTooLarge',
  'InvalidCron',
  'InvalidDate',
  'UnknownTimeZone',
  'InvalidBackfill',
  'NeverFires',
  'EntryMissing',
  'NoEventLog',
  'NoBackup',
  'OtherBackup',
  'FolderNotEmpty',
  'NotATransfer',
  'TransferCutOff',
  'TransferDamaged',
  'RevisionsMissing',
  'UserRefused',
  'CredentialsUnusable',
]);
const UNAVAILABLE_CODES = new Set([
  'DataDirUnusable',
  'DataDirInUse',
  'PortTaken',
  'NatsServerMissing',
  'NatsServerTooOld',
  'ChildDidNotStart',
  'NotBuilt',
]);

export function exitCodeOf(thrown: unknown): number {
  if (!(thrown instanceof PerdureError)) return EXIT.failed;
  if (USAGE_CODES.has(thrown.code)) return EXIT.usage;
  if (thrown.reaction === 'retryable' || UNAVAILABLE_CODES.has(thrown.code)) return EXIT.unavailable;
  return EXIT.failed;
}
