import * as fs from 'node:fs';
import { join } from 'node:path';
import { EventStoreServerError } from '../errors';
import { FORMAT_FILE, logIdOf } from '../store/data-folder';
import { nodeFileSystem } from '../store/file-system';
import { SEGMENT_NAME } from '../store/segments';
import { type OpenLog, type OpenLogFile, openLog } from './open-log';
import { type VerifyReport, verifyStore } from './verify';

// A log is only ever appended to, so a copy of its files, oldest first, is a prefix of it: at worst the last
// append is cut off, and the next start cuts the rest of it away. That is why a backup needs no pause.
//
// 1. A copy gets its name when its bytes are durable; a backup that was interrupted is completed by the next one.
// 2. A backup is good only if every record of it was read back and is intact.

/** What stands in `backup.json` beside the copies. */
export interface BackupManifest {
  readonly format: 'perdure-event-log-backup';
  readonly version: 1;
  /** Another log is not mixed in. */
  readonly logId: string;
  readonly takenAt: string;
  readonly events: number;
  readonly streams: number;
  readonly bytes: number;
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
}

export interface BackupReport extends BackupManifest {
  readonly to: string;
  /** Files that were not copied again: they were there already, whole. */
  readonly filesKept: number;
}

export const MANIFEST_FILE = 'backup.json';
const COPY_BYTES = 4 * 1024 * 1024;

/**
 * Copies a log, also while a server serves it; into an earlier backup of the same log only what is new.
 * @throws EventStoreServerError `NoEventLog`, `OtherBackup`, `BackupDamaged`
 */
export async function backupStore(folder: string, to: string, nowMs: number): Promise<BackupReport> {
  const log = openLog(folder);
  try {
    return await copyLog({ ...log, folder }, to, nowMs);
  } finally {
    log.close();
  }
}

async function copyLog(log: OpenLog & { readonly folder: string }, to: string, nowMs: number): Promise<BackupReport> {
  const logId = logIdOf(log.folder);
  const earlier = readManifest(to);
  if (earlier === undefined && fs.existsSync(to) && fs.readdirSync(to).some((name) => SEGMENT_NAME.test(name)))
    throw otherBackup(to, 'it holds a log, but no backup.json');
  if (earlier !== undefined && earlier.logId !== logId) throw otherBackup(to, 'it is a backup of another log');
  nodeFileSystem.createFolder(to);
  copyText(log.folder, to, FORMAT_FILE);
  const newest = log.files[log.files.length - 1];
  let filesKept = 0;
  const files = log.files.map((file) => {
    const isKept = file !== newest && isCopied(file, join(to, file.name));
    if (isKept) filesKept += 1;
    else copyDurably(file, to);
    return { name: file.name, bytes: fs.statSync(join(to, file.name)).size };
  });
  removeOthers(to, new Set(files.map(({ name }) => name)));
  const { events, streams, bytes } = checked(await verifyStore(to), to);
  const takenAt = new Date(nowMs).toISOString();
  const manifest: BackupManifest = {
    format: 'perdure-event-log-backup',
    version: 1,
    logId,
    takenAt,
    events,
    streams,
    bytes,
    files,
  };
  nodeFileSystem.writeTextDurably(join(to, MANIFEST_FILE), `${JSON.stringify(manifest, undefined, 2)}\n`);
  return { ...manifest, to, filesKept };
}

/**
 * Makes a data folder of a backup.
 * @throws EventStoreServerError `NoBackup`, `FolderNotEmpty`, `BackupDamaged`
 */
export async function restoreStore(from: string, folder: string): Promise<VerifyReport> {
  const manifest = readManifest(from);
  if (manifest === undefined) {
    throw new EventStoreServerError(
      'NoBackup',
      `${from} holds no complete backup: name the folder that \`store backup --to\` made.`,
    );
  }
  if (fs.existsSync(folder) && fs.readdirSync(folder).length > 0) {
    throw new EventStoreServerError(
      'FolderNotEmpty',
      `${folder} is not empty, and nothing in it is overwritten: restore to a new folder.`,
    );
  }
  // The format comes last: a folder that was half restored is none that a server would take for a log.
  nodeFileSystem.createFolder(folder);
  const log = openLog(from);
  try {
    for (const file of log.files) copyDurably(file, folder);
  } finally {
    log.close();
  }
  copyText(from, folder, FORMAT_FILE);
  const report = checked(await verifyStore(folder), folder);
  if (report.events < manifest.events) throw damagedBackup(from, `${manifest.events - report.events} events are missing`);
  return report;
}

function readManifest(folder: string): BackupManifest | undefined {
  const path = join(folder, MANIFEST_FILE);
  if (!fs.existsSync(path)) return undefined;
  try {
    const manifest = JSON.parse(fs.readFileSync(path, 'utf8')) as BackupManifest;
    if ((manifest.format as string) === 'perdure-event-log-backup' && (manifest.version as number) === 1) return manifest;
  } catch {
    // Said below.
  }
  throw otherBackup(folder, 'its backup.json is not one of this version');
}

function isCopied({ size }: OpenLogFile, copy: string): boolean {
  return fs.existsSync(copy) && fs.statSync(copy).size === size;
}

/** What a scavenge has replaced since the backup before this one. */
function removeOthers(to: string, names: ReadonlySet<string>): void {
  for (const name of fs.readdirSync(to)) if (SEGMENT_NAME.test(name) && !names.has(name)) fs.rmSync(join(to, name));
}

function copyText(from: string, to: string, name: string): void {
  nodeFileSystem.writeTextDurably(join(to, name), fs.readFileSync(join(from, name), 'utf8'));
}

/** From what is open: the name may stand for another file by now. */
function copyDurably({ name, descriptor, size }: OpenLogFile, to: string): void {
  const path = join(to, name);
  const part = `${path}.part`;
  const copy = fs.openSync(part, 'w');
  try {
    const window = Buffer.allocUnsafe(COPY_BYTES);
    for (let at = 0; at < size;) {
      const count = fs.readSync(descriptor, window, 0, Math.min(window.length, size - at), at);
      if (count === 0) break;
      for (let done = 0; done < count;) done += fs.writeSync(copy, window, done, count - done, at + done);
      at += count;
    }
    fs.fsyncSync(copy);
  } finally {
    fs.closeSync(copy);
  }
  fs.renameSync(part, path);
  nodeFileSystem.syncFolder(to);
}

function checked(report: VerifyReport, where: string): VerifyReport {
  const [fault] = report.faults;
  if (fault === undefined) return report;
  const what = fault.kind === 'damaged' ? `bytes ${fault.from} to ${fault.to} are no records` : `a gap in ${fault.stream}`;
  throw damagedBackup(where, `${what}; ${report.faults.length + report.faultsOmitted} faults in all`);
}

function damagedBackup(where: string, what: string): EventStoreServerError {
  return new EventStoreServerError(
    'BackupDamaged',
    `The copy in ${where} is not intact (${what}): verify where it came from, and use an earlier backup.`,
  );
}

function otherBackup(to: string, why: string): EventStoreServerError {
  return new EventStoreServerError('OtherBackup', `${to} cannot take this backup (${why}): choose another folder.`);
}
