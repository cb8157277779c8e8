import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import { open, rename } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { OutputFailed } from './transfer.errors';

/**
 * Writes at the pace of the reader.
 * @returns what the texts return at their end
 * @throws OutputFailed
 */
export async function writeTexts<Result>(texts: AsyncGenerator<string, Result>, out: Writable): Promise<Result> {
  let failure: Error | undefined;
  out.on('error', (error: Error) => {
    failure ??= error;
  });
  for (;;) {
    const step = await texts.next();
    if (failure === undefined && step.done === true) return step.value;
    if (failure === undefined && step.done !== true && out.write(step.value)) continue;
    if (failure === undefined) await once(out, 'drain').catch(() => undefined);
    if (failure !== undefined) throw new OutputFailed(failure);
  }
}

/** The file gets its name when it is whole and on the disk. */
export async function writeTextFile<Result>(texts: AsyncGenerator<string, Result>, path: string): Promise<Result> {
  const part = `${path}.part`;
  const out = createWriteStream(part);
  const result = await writeTexts(texts, out);
  out.end();
  await finished(out);
  const file = await open(part, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(part, path);
  return result;
}
