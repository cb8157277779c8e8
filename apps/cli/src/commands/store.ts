import {
  type Fault,
  type StoreInfo,
  backupStore as backup,
  restoreStore as restore,
  runEventStoreServer,
  scavengeStore as scavenge,
  storeInfo,
  verifyStore as verify,
} from '@perdure/event-store-server';
import { Terminal } from '@perdure/kernel';
import { EXIT } from '../cli.errors';
import { ago, pc, say } from '../paint';
import { told } from './store-errors';

export interface ServeOptions {
  readonly data: string;
  readonly port: string;
  readonly host?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly credentials?: string;
}

/** The embedded store alone, in the foreground, for other programs to use: this process becomes the server. */
export function serveStore({ data, port, host, tlsCert, tlsKey, credentials }: ServeOptions): Promise<number> {
  const given = Object.entries({ data, port, host, 'tls-cert': tlsCert, 'tls-key': tlsKey, credentials });
  runEventStoreServer(given.flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, value])));
  return new Promise(() => undefined);
}

interface OfFolder {
  readonly data: string;
  readonly json?: boolean;
}

/** What is in a data folder; read only, also while it is served. */
export async function infoStore({ data, json }: OfFolder): Promise<number> {
  const info = await told(storeInfo(data));
  if (json) say(JSON.stringify(info));
  else showInfo(info);
  return EXIT.ok;
}

/** Reads every record. Exit code 1 when something does not hold. */
export async function verifyStore({ data, json }: OfFolder): Promise<number> {
  const report = await told(verify(data));
  if (json) say(JSON.stringify(report));
  else {
    showInfo(report);
    if (report.unfinishedTailBytes > 0)
      say(
        pc.dim(`  an unfinished tail of ${report.unfinishedTailBytes} bytes was never acknowledged; the next start cuts it off`),
      );
    for (const fault of report.faults) say(pc.red(`  ${faultText(fault)}`));
    if (report.faultsOmitted > 0) say(pc.red(`  and ${report.faultsOmitted} more`));
    say(report.faults.length === 0 ? pc.green('✓ every record is intact') : pc.red('✗ the log is damaged: restore a backup'));
  }
  return report.faults.length === 0 ? EXIT.ok : EXIT.failed;
}

export async function backupStore({ data, to, json }: OfFolder & { readonly to: string }): Promise<number> {
  const report = await told(backup(data, to, Date.now()));
  const { events, streams, bytes, files, filesKept } = report;
  if (json) say(JSON.stringify(report));
  else
    say(
      `${pc.green('✓')} ${pc.bold(to)}: ${events} events of ${streams} streams, ${size(bytes)} in ${files.length} files, ${filesKept} of them there already`,
    );
  return EXIT.ok;
}

export async function restoreStore({ data, from, json }: OfFolder & { readonly from: string }): Promise<number> {
  const report = await told(restore(from, data));
  if (json) say(JSON.stringify(report));
  else say(`${pc.green('✓')} ${pc.bold(data)}: ${report.events} events of ${report.streams} streams, every record intact`);
  return EXIT.ok;
}

interface ScavengeOptions {
  readonly data?: string;
  readonly server?: string;
  readonly json?: boolean;
}

/** Gives back the room of events that nobody can see any more. */
export async function scavengeStore({ data, server, json }: ScavengeOptions): Promise<number> {
  if ((data === undefined) === (server === undefined)) {
    throw new Terminal('ScavengeWhat', 'Name either a folder that is not served (--data) or a running server (--server).');
  }
  const { scavengeServer } = require('./store-scavenge') as typeof import('./store-scavenge');
  const report = data === undefined ? await scavengeServer(server as string) : await told(scavenge(data));
  const isDone = report.result === 'Success';
  if (json) say(JSON.stringify(report));
  else if (isDone)
    say(
      `${pc.green('✓')} ${report.removedEvents ?? '?'} events taken away, ${size(report.freedBytes ?? 0)} freed, ${report.filesAfter ?? '?'} files left`,
    );
  else say(`${pc.red('✗')} ${report.result ?? 'unknown'}: ${report.error ?? ''}`);
  return isDone ? EXIT.ok : EXIT.failed;
}

function showInfo(info: StoreInfo): void {
  const row = (label: string, value: string): void => say(`  ${pc.dim(label.padEnd(11))} ${value}`);
  say(`${pc.bold(info.folder)}${info.inUse ? pc.cyan('  served now') : ''}`);
  row('events', `${info.events} in ${info.streams} streams`);
  row('bytes', `${size(info.bytes)} in ${info.segments} files, format ${info.formatVersion}`);
  if (info.firstAtMs !== undefined && info.lastAtMs !== undefined)
    row('times', `${new Date(info.firstAtMs).toISOString()} to ${new Date(info.lastAtMs).toISOString()} (${ago(info.lastAtMs)})`);
}

function faultText(fault: Fault): string {
  if (fault.kind === 'damaged') return `bytes ${fault.from} to ${fault.to} of the log are no intact records`;
  return `${fault.stream}: revision ${fault.found} at position ${fault.position}, where ${fault.expected} had to come`;
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

function size(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${UNITS[power]}`;
}
