import { closeSync, existsSync, openSync, readFileSync, readSync } from 'node:fs';

/** One execution, told by whoever executed, outside the engine: appended to a file before the work began. */
export interface BookLine {
  readonly runId: string;
  /** What was executed: unique within its run. */
  readonly what: string;
  readonly pid: number;
  readonly atMs: number;
}

/** A process that is killed leaves at most one torn line, its own last one. */
export function readBook(path: string): readonly BookLine[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8')
    .split('\n')
    .flatMap((line) => {
      try {
        return [JSON.parse(line) as BookLine];
      } catch {
        return [];
      }
    });
}

const CHUNK_BYTES = 65_536;
const NEW_LINE = 10;

/** @returns the function that says how many lines there are by now; it reads each byte once */
export function lineCounter(path: string): () => number {
  const chunk = Buffer.alloc(CHUNK_BYTES);
  let at = 0;
  let lines = 0;
  return () => {
    if (!existsSync(path)) return 0;
    const file = openSync(path, 'r');
    for (let read = readSync(file, chunk, { position: at }); read > 0; read = readSync(file, chunk, { position: at })) {
      at += read;
      for (let index = 0; index < read; index += 1) if (chunk[index] === NEW_LINE) lines += 1;
    }
    closeSync(file);
    return lines;
  };
}
