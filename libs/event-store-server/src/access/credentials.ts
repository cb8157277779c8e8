import { unwatchFile, watchFile } from 'node:fs';
import { Authenticator } from './authenticator';
import { readCredentials } from './credentials-file';

/** A look at the file's time and size: also where it is mounted and replaced by a link, no change goes unnoticed. */
const LOOK_EVERY_MS = 1000;

export interface CredentialsOptions {
  readonly file: string;
  /** The users have been replaced. */
  onChanged(): void;
  /** The file changed and cannot be used: the users stay as they were. */
  onComplaint(error: unknown): void;
}

/** The users of a credentials file, also when it changes. */
export class Credentials {
  readonly authenticator: Authenticator;
  private readonly onFileChanged: () => void;

  /** @throws EventStoreServerError `CredentialsUnusable` */
  constructor(private readonly options: CredentialsOptions) {
    this.authenticator = new Authenticator(readCredentials(options.file));
    this.onFileChanged = () => {
      try {
        this.reload();
      } catch (error) {
        options.onComplaint(error);
      }
    };
    watchFile(options.file, { interval: LOOK_EVERY_MS, persistent: false }, this.onFileChanged);
  }

  /** @throws EventStoreServerError `CredentialsUnusable`; the users stay as they were */
  reload(): void {
    this.authenticator.replaceUsers(readCredentials(this.options.file));
    this.options.onChanged();
  }

  close(): void {
    unwatchFile(this.options.file, this.onFileChanged);
  }
}
