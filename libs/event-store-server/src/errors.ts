/** Why the server does not start, or stops. The message is one line and says what to do. */
export type StoreFault =
  | 'PortTaken'
  | 'HostNotProtected'
  | 'CertificateUnusable'
  | 'CredentialsUnusable'
  | 'UserRefused'
  | 'DataFolderNotWritable'
  | 'DataFolderLocked'
  | 'UnknownFormatVersion'
  | 'NoEventLog'
  | 'NoBackup'
  | 'OtherBackup'
  | 'BackupDamaged'
  | 'FolderNotEmpty'
  | 'LogCorrupt'
  | 'SyncFailed';

export class EventStoreServerError extends Error {
  constructor(
    readonly code: StoreFault,
    message: string,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = code;
  }
}

/** The disk has no room. Writes are refused, reads go on; the next append tries again. */
export class StorageFull extends Error {
  constructor(cause: unknown) {
    super('The disk of the event store is full: nothing was written. Free some space; appends are accepted again at once.', {
      cause,
    });
    this.name = 'StorageFull';
  }
}

/** Too much is waiting for the disk. */
export class StoreOverloaded extends Error {
  constructor() {
    super('The event store has too many unwritten bytes: nothing was written. Append again later.');
    this.name = 'StoreOverloaded';
  }
}

/** The disk gave back other bytes than were written: they are never served. */
export class EventDamaged extends Error {
  constructor(readonly position: number) {
    super(
      `The event at position ${position} is damaged on the disk: it is not served. Find out what else is with \`perdure store verify\`, and restore a backup.`,
    );
    this.name = 'EventDamaged';
  }
}

/** A record keeps the lengths of its names in two bytes each. */
export class NameTooLong extends Error {
  constructor(bytesMax: number) {
    super(`The names of streams and event types have at most ${bytesMax} bytes: nothing was written. Choose a shorter one.`);
    this.name = 'NameTooLong';
  }
}

export function errorCodeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}
