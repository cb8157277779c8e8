import * as fs from 'node:fs';
import { join } from 'node:path';
import { EventStoreServerError, errorCodeOf } from '../errors';
import { FORMAT_FILE, readFormat } from '../store/data-folder';
import { nodeFileSystem } from '../store/file-system';
import { type Gaps, NO_GAPS } from '../store/gaps';
import { type ScavengedRange, readScavengedHead, scavengedHeadBytes } from '../store/scavenged-file';
import { SEGMENT_NAME, currentSegments } from '../store/segments';

/** A scavenge replaces files one after the other: between two of them there is time to open all. */
const ATTEMPTS_MAX = 20;

/** One file of the log, open for reading. */
export interface OpenLogFile {
  readonly name: string;
  readonly descriptor: number;
  readonly size: number;
  readonly base: number;
  /** Position after its last byte; the newest one may have grown meanwhile. */
  readonly end: number;
  readonly headBytes: number;
  readonly gaps: Gaps;
}

export interface OpenLog {
  readonly formatVersion: number;
  /** Oldest first. */
  readonly files: readonly OpenLogFile[];
  close(): void;
}

/**
 * All files of a log as they were at one moment, also while a server appends to it or scavenges it: a file that is open
 * stays readable when its name is gone.
 * @throws EventStoreServerError `NoEventLog`, `UnknownFormatVersion`, `LogCorrupt`
 */
export function openLog(folder: string): OpenLog {
  const path = join(folder, FORMAT_FILE);
  if (!fs.existsSync(path)) {
    throw new EventStoreServerError('NoEventLog', `${folder} holds no event log: name the folder that was given as --data.`);
  }
  const formatVersion = readFormat(nodeFileSystem.readText(path), path);
  for (let attempt = 1; ; attempt += 1) {
    const opened: OpenLogFile[] = [];
    try {
      const names = fs.readdirSync(folder).filter((name) => SEGMENT_NAME.test(name));
      for (const name of names) opened.push(openFile(folder, name));
      return { formatVersion, files: current(opened), close: () => closeAll(opened) };
    } catch (error) {
      closeAll(opened);
      if (errorCodeOf(error) !== 'ENOENT' || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}

function closeAll(opened: readonly OpenLogFile[]): void {
  for (const { descriptor } of opened) fs.closeSync(descriptor);
}

function openFile(folder: string, name: string): OpenLogFile {
  const descriptor = fs.openSync(join(folder, name), 'r');
  const { size } = fs.fstatSync(descriptor);
  const base = Number(name.slice(0, 20));
  if (!name.endsWith('.scavenged.log')) return { name, descriptor, size, base, end: base + size, headBytes: 0, gaps: NO_GAPS };
  const range = rangeOf(descriptor);
  if (range !== undefined) return { name, descriptor, size, ...range, headBytes: scavengedHeadBytes(range.gaps) };
  fs.closeSync(descriptor);
  throw new EventStoreServerError(
    'LogCorrupt',
    `The head of ${join(folder, name)} is damaged: restore the data folder from a backup.`,
  );
}

function rangeOf(descriptor: number): ScavengedRange | undefined {
  return readScavengedHead((target) => fs.readSync(descriptor, target, 0, target.length, 0));
}

function current(opened: readonly OpenLogFile[]): readonly OpenLogFile[] {
  const byName = new Map(opened.map((file) => [file.name, file]));
  const ofName = (name: string): OpenLogFile => byName.get(name) as OpenLogFile;
  const names = currentSegments(
    [...byName.keys()],
    (name) => ofName(name).end,
    () => undefined,
  );
  return names.map(ofName);
}
