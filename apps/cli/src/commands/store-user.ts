import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { type UserChange, changeUser } from '@perdure/event-store-server';
import { BadUsage, EXIT } from '../cli.errors';
import { pc, say } from '../paint';
import { told } from './store-errors';

/** Above any password, so that what is piped in by mistake is not read to its end. */
const INPUT_LENGTH_MAX = 4096;

export interface StoreUserOptions {
  readonly credentials: string;
  readonly login: string;
  readonly group?: readonly string[];
  readonly disable?: boolean;
  readonly remove?: boolean;
}

/** Writes one user into a credentials file. The password comes from standard input: arguments are seen by everybody. */
export async function storeUser({ credentials, login, group, disable, remove }: StoreUserOptions): Promise<number> {
  if (disable && remove) throw new BadUsage('Either --disable or --remove.');
  if ((disable || remove) && group !== undefined) throw new BadUsage('--group goes with a password only.');
  const change: UserChange = disable
    ? { kind: 'disable' }
    : remove
      ? { kind: 'remove' }
      : { kind: 'set', password: await readPassword(login), groups: group };
  await told(changeUser({ file: credentials, login, change }));
  const what = { set: 'may log in', disable: 'is disabled', remove: 'is removed' }[change.kind];
  say(`${pc.green('✓')} ${pc.bold(login)} ${what}; a server that uses ${credentials} knows it within a second`);
  return EXIT.ok;
}

/** The first line; on a terminal it is asked for, and not shown. */
async function readPassword(login: string): Promise<string> {
  const { stdin, stderr } = process;
  if (stdin.isTTY) stderr.write(`password of ${login}: `);
  const unseen = new Writable({ write: (_, __, done) => done() });
  const lines = createInterface({ input: stdin, output: unseen, terminal: stdin.isTTY });
  const line = await new Promise<string | undefined>((resolve) => {
    lines.once('line', resolve).once('close', () => resolve(undefined));
  });
  lines.close();
  if (stdin.isTTY) stderr.write('\n');
  if (line === undefined || line === '') throw new BadUsage('The password is wanted on standard input, as one line.');
  if (line.length > INPUT_LENGTH_MAX) throw new BadUsage('The line on standard input is no password: it is too long.');
  return line;
}
