import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { identityOf, isAlive, type ProcessIdentity } from './proc';
import { DataDirInUse, DataDirUnusable } from './stack.errors';

/** Less than this and JetStream switches itself off soon: better to refuse at once. */
const FREE_BYTES_MIN = 128 * 1024 * 1024;
/** Children of a launcher that was killed notice it at once; this is for a slow machine. */
const ORPHANS_GONE_MS = 3_000;

/** What a running stack says about itself; the CLI and other programs find it by this file. */
export interface StackState {
  readonly launcher: ProcessIdentity;
  readonly form: 'dev' | 'isolated';
  readonly gatewayUrl: string;
  readonly natsUrl: string;
  /** Holds a login: the file is for its user only. */
  readonly clientUrl: string;
  readonly storeUrl: string;
  readonly children: readonly (ProcessIdentity & { readonly name: string })[];
}

export function stateFileOf(dataDir: string): string {
  return join(resolve(dataDir), 'stack.json');
}

export function readStackState(dataDir: string): StackState | undefined {
  try {
    return JSON.parse(readFileSync(stateFileOf(dataDir), 'utf8')) as StackState;
  } catch {
    return undefined;
  }
}

export function writeStackState(dataDir: string, state: StackState): void {
  const file = stateFileOf(dataDir);
  const temporary = `${file}.${process.pid}.tmp`;
  writeFileSync(temporary, `${JSON.stringify(state, undefined, 2)}\n`, { mode: 0o600 });
  renameSync(temporary, file);
}

const ADVICE: Readonly<Record<string, readonly [string, string]>> = {
  EROFS: ['it is on a read-only file system', 'Choose a writable one with --data DIR.'],
  EACCES: ['it may not be written by this user', 'Change its owner or permissions, or choose another with --data DIR.'],
  EPERM: ['it may not be written by this user', 'Change its owner or permissions, or choose another with --data DIR.'],
  ENOSPC: ['the disk is full', 'Free some space, or choose another disk with --data DIR.'],
  EDQUOT: ['the disk quota is used up', 'Free some space, or choose another disk with --data DIR.'],
  ENOTDIR: ['part of its path is a file', 'Choose another with --data DIR.'],
  EEXIST: ['it is a file, not a directory', 'Choose another with --data DIR.'],
};

function unusable(dataDir: string, thrown: unknown): DataDirUnusable {
  const { code = 'unknown', message } = whyNot(dataDir, thrown as NodeJS.ErrnoException);
  const [why, advice] = ADVICE[code] ?? [message, 'Choose another with --data DIR.'];
  return new DataDirUnusable(dataDir, why, advice);
}

/** Making folders on a read-only file system fails as if their parents were missing: the nearest one that exists knows better. */
function whyNot(dataDir: string, thrown: NodeJS.ErrnoException): NodeJS.ErrnoException {
  if (thrown.code !== 'ENOENT') return thrown;
  let folder = dataDir;
  while (!existsSync(folder) && dirname(folder) !== folder) folder = dirname(folder);
  try {
    accessSync(folder, constants.W_OK);
    return thrown;
  } catch (reason) {
    return reason as NodeJS.ErrnoException;
  }
}

/**
 * Makes sure that the directory can hold a stack's data: by writing and syncing, not by asking.
 * @throws DataDirUnusable
 */
export function prepareDataDir(dataDir: string): void {
  try {
    for (const part of ['', 'logs', 'nats', 'store', 'services']) mkdirSync(join(dataDir, part), { recursive: true });
    const probe = join(dataDir, `.probe.${process.pid}`);
    const file = openSync(probe, 'w');
    try {
      writeSync(file, Buffer.alloc(65_536));
      fsyncSync(file);
    } finally {
      closeSync(file);
      unlinkSync(probe);
    }
  } catch (thrown) {
    throw unusable(dataDir, thrown);
  }
  const { bavail, bsize } = statfsSync(dataDir);
  if (bavail * bsize < FREE_BYTES_MIN) {
    const freeMb = Math.floor((bavail * bsize) / 1_048_576);
    throw new DataDirUnusable(
      dataDir,
      `only ${freeMb} MB are free on its disk`,
      `At least ${FREE_BYTES_MIN / 1_048_576} MB are needed: free some space, or choose another disk with --data DIR.`,
    );
  }
}

/**
 * One stack a directory. The lock holds the identity of its process, so that one left behind by a
 * killed launcher is recognised; what that launcher had started is waited for, then ended by pid.
 * @returns the function that gives the lock back
 */
export async function lockDataDir(dataDir: string): Promise<() => void> {
  const lock = join(dataDir, 'stack.lock');
  for (;;) {
    try {
      writeFileSync(lock, JSON.stringify(identityOf(process.pid)), { flag: 'wx' });
      break;
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'EEXIST') throw unusable(dataDir, thrown);
    }
    const holder = readIdentity(lock);
    if (holder && isAlive(holder)) throw new DataDirInUse(dataDir, holder.pid);
    rmSync(lock, { force: true });
  }
  await endOrphans(readStackState(dataDir)?.children ?? []);
  return () => {
    rmSync(stateFileOf(dataDir), { force: true });
    rmSync(lock, { force: true });
  };
}

function readIdentity(lock: string): ProcessIdentity | undefined {
  try {
    return JSON.parse(readFileSync(lock, 'utf8')) as ProcessIdentity;
  } catch {
    return undefined;
  }
}

async function endOrphans(children: readonly ProcessIdentity[]): Promise<void> {
  const deadline = performance.now() + ORPHANS_GONE_MS;
  let left = children.filter(isAlive);
  while (left.length > 0 && performance.now() < deadline) {
    await sleep(25);
    left = left.filter(isAlive);
  }
  for (const { pid } of left) process.kill(pid, 'SIGKILL');
}
