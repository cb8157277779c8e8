import { createReadStream } from 'node:fs';
import { EventStoreServerError } from '@perdure/event-store-server';
import { Terminal } from '@perdure/kernel';
import { systemHost } from '@perdure/platform-host-node';
import { EXIT } from '../cli.errors';
import { note, pc } from '../paint';
import { checkTransfer } from '../store-transfer/check-transfer';
import { type ExportReport, exportLog } from '../store-transfer/export-log';
import { type ImportReport, LogImport } from '../store-transfer/import-log';
import { openSource, openTarget } from '../store-transfer/sources';
import { writeTextFile, writeTexts } from '../store-transfer/text-output';
import { transferItems } from '../store-transfer/transfer-lines';
import { type VerifiedImport, verifyImport } from '../store-transfer/verify-import';

const STANDARD = '-';
const READ_BYTES = 256 * 1024;

export interface ExportCommand {
  readonly from: string;
  readonly to: string;
  readonly json?: boolean;
}

export interface ImportCommand {
  readonly into: string;
  readonly from: string;
  readonly fill?: boolean;
  readonly verify?: boolean;
  readonly json?: boolean;
}

const host = () => systemHost({ service: 'store-transfer', write: () => undefined });

/** A log as lines of JSON. What is told goes to standard error: standard output is the transfer. */
export async function exportStore({ from, to, json }: ExportCommand): Promise<number> {
  const source = openSource(from, host());
  try {
    const texts = exportLog(source.events, { source: source.name, nowMs: Date.now() });
    const report = await (to === STANDARD ? writeTexts(texts, process.stdout) : writeTextFile(texts, to));
    note(json ? JSON.stringify(report) : exportText(report));
    return EXIT.ok;
  } catch (thrown) {
    throw thrown instanceof EventStoreServerError ? new Terminal(thrown.code, thrown.message) : thrown;
  } finally {
    await source.close();
  }
}

/** Appends a transfer to a server; run again after an interruption it goes on. */
export async function importStore(command: ImportCommand): Promise<number> {
  const { from, into, fill = false, verify = false, json } = command;
  const target = openTarget(into, host());
  try {
    // What is a file can be read twice: nothing is written of one that is not whole.
    if (from !== STANDARD) await checkTransfer(bytesOf(from), { fill });
    const imported = new LogImport(target, { fill, digest: verify });
    const report = await imported.run(transferItems(bytesOf(from)));
    const verified = verify ? await verifyImport(imported, target.readAll()) : undefined;
    process.stdout.write(`${json ? JSON.stringify({ ...report, ...verified }) : importText(report, verified)}\n`);
    return EXIT.ok;
  } finally {
    await target.close();
  }
}

function bytesOf(from: string): AsyncIterable<Buffer> {
  return from === STANDARD ? process.stdin : createReadStream(from, { highWaterMark: READ_BYTES });
}

function exportText(report: ExportReport): string {
  const { events, streams, tombstones, systemEventsLeftOut, placesLeftOut, streamsCutOff } = report;
  const lines = [
    `${pc.green('✓')} ${events} events of ${streams} streams, ${tombstones} of them deleted for ever; left out: ${systemEventsLeftOut} events of the server itself, ${placesLeftOut} checkpoints`,
  ];
  if (streamsCutOff.length > 0)
    lines.push(pc.yellow(`  the first revisions of ${streamsCutOff.length} streams were scavenged: import with --fill`));
  return lines.join('\n');
}

function importText(report: ImportReport, verified: VerifiedImport | undefined): string {
  const { events, streams, tombstones, softDeleted, filled } = report;
  const lines = [
    `${pc.green('✓')} ${events} events of ${streams} streams are there, ${softDeleted} streams deleted, ${tombstones} for ever`,
  ];
  if (filled > 0) lines.push(`  ${filled} hidden stand-ins for scavenged events`);
  if (verified !== undefined) lines.push(`${pc.green('✓')} ${verified.eventsVerified} events read back, all the same`);
  return lines.join('\n');
}
