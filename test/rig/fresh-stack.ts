import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, startStack, type Stack, type StackOptions } from '@perdure/cli';

export interface FreshStackOptions extends Omit<StackOptions, 'dataDir'> {
  /** Keeps the folder (data and logs) afterwards, for whoever wants to know why. */
  readonly keep?: (() => boolean) | undefined;
}

export interface Rig {
  readonly stack: Stack;
  /** For files of the load beside the stack's own. Deleted with it. */
  readonly folder: string;
}

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;
const EXIT_INTERRUPTED = 130;

/** The checkout is on a disk that keeps what is synced; a system's folder for temporary files may be in memory. */
export function newFolder(purpose: string): string {
  const parent = join(ROOT, '.perdure', 'tmp');
  mkdirSync(parent, { recursive: true });
  return mkdtempSync(join(parent, `${purpose}-`));
}

export interface OpenRig extends Rig {
  /** Stops everything and deletes the folder, or names it when it shall be kept. */
  close(): Promise<void>;
}

/** As the launcher says; where nobody went through it, the one that it has fetched once. */
export const NATS_SERVER = process.env.PERDURE_NATS_SERVER ?? join(ROOT, '.perdure', 'bin', 'nats-server');

/** A stack with an empty log, on free ports. */
export async function openRig(options: (folder: string) => FreshStackOptions): Promise<OpenRig> {
  const folder = newFolder('stack');
  const { keep, ...rest } = options(folder);
  const discard = (): void => {
    if (keep?.()) process.stderr.write(`kept: ${folder}\n`);
    else rmSync(folder, { recursive: true, force: true });
  };
  try {
    const stack = await startStack({ natsServer: NATS_SERVER, ...rest, dataDir: join(folder, 'data') });
    return { stack, folder, close: () => stack.stop().finally(discard) };
  } catch (thrown) {
    discard();
    throw thrown;
  }
}

/** A stack for as long as `use` takes; nothing of it is left afterwards, also when this program is interrupted. */
export async function withFreshStack<T>(
  options: (folder: string) => FreshStackOptions,
  use: (rig: Rig) => Promise<T>,
): Promise<T> {
  let rig: OpenRig | undefined;
  const interrupted = (): void => {
    rig?.stack.stopNow();
    if (rig) rmSync(rig.folder, { recursive: true, force: true });
    process.exit(EXIT_INTERRUPTED);
  };
  for (const signal of SIGNALS) process.once(signal, interrupted);
  try {
    rig = await openRig(options);
    return await use(rig);
  } finally {
    for (const signal of SIGNALS) process.off(signal, interrupted);
    await rig?.close();
  }
}
