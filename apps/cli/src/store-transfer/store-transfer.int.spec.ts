import { createHash, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EventStoreDBClient, jsonEvent } from '@eventstore/db-client';
import { type RunningEventStoreServer, readLog, startEventStoreServer } from '@perdure/event-store-server';
import { type RawEvent, type RawProposal, RawEventStore } from '@perdure/platform-event-store-esdb';
import { systemHost } from '@perdure/platform-host-node';
import { checkTransfer } from './check-transfer';
import { exportLog } from './export-log';
import { type ImportOptions, type ImportReport, LogImport } from './import-log';
import { isOfServer } from './system-streams';
import { headerLine } from './transfer-format';
import { transferItems } from './transfer-lines';
import { verifyImport } from './verify-import';

const host = systemHost({ service: 'transfer-spec', write: () => undefined });
const NOW_MS = 1_767_225_600_000;
const PLAIN: ImportOptions = { fill: false, digest: true };

interface Store {
  readonly folder: string;
  readonly server: RunningEventStoreServer;
  readonly raw: RawEventStore;
  readonly client: EventStoreDBClient;
}

let home: string;
let opened: Store[];

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'perdure-transfer-'));
  opened = [];
});

afterEach(async () => {
  for (const { client, raw, server } of opened) {
    await client.dispose();
    await raw.close();
    await server.close();
  }
  rmSync(home, { recursive: true, force: true });
});

async function open({ appendBytesMax = 1024 * 1024 } = {}): Promise<Store> {
  const folder = join(home, `store-${opened.length}`);
  const server = await startEventStoreServer({ dataDir: folder, port: 0, appendBytesMax });
  const { connectionString } = server;
  const raw = new RawEventStore({ connectionString, host });
  const store = { folder, server, raw, client: EventStoreDBClient.connectionString(connectionString) };
  opened.push(store);
  return store;
}

function proposal(data: string | Buffer, more: Partial<RawProposal> = {}): RawProposal {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data;
  const metadata = Buffer.from('{"tenant":"acme"}');
  return { id: randomUUID(), type: 'Happened', contentType: 'application/json', data: bytes, metadata, ...more };
}

/** All that a log can hold. */
async function furnish({ raw, client }: Store): Promise<void> {
  await raw.append('run-exact', 'no-stream', [
    proposal('{"b":1,"a":[1,2.50,9223372036854775807],"__proto__":{"x":1}}'),
    proposal('{ "spaced" : true }', { metadata: Buffer.from('not json') }),
    proposal('{"plain":"é€😀"}', { metadata: Buffer.alloc(0) }),
    proposal(Buffer.from([0, 255, 13, 10, 128]), { contentType: 'application/octet-stream' }),
    proposal(''),
  ]);
  for (let at = 0; at < 40; at += 1) await client.appendToStream(`run-${at % 7}`, jsonEvent({ type: 'Ticked', data: { at } }));
  await raw.append(
    'run-long',
    'no-stream',
    Array.from({ length: 1_200 }, (_, at) => proposal(`{"at":${at}}`)),
  );
  await client.setStreamMetadata('run-1', { maxCount: 2, acl: { readRoles: ['ops'] }, owner: 'acme' });
  await client.setStreamMetadata('run-1', { maxCount: 3 });
  await client.deleteStream('run-2');
  await client.deleteStream('run-3');
  await client.appendToStream('run-3', jsonEvent({ type: 'Revived', data: {} }));
  await client.tombstoneStream('run-4');
  await client.tombstoneStream('never-was');
  await client.appendToStream('$settings', jsonEvent({ type: 'update-default-acl', data: { $userStreamAcl: {} } }));
}

async function textOf(events: AsyncIterable<RawEvent> | Iterable<RawEvent>): Promise<string> {
  let text = '';
  for await (const chunk of exportLog(events, { source: 'spec', nowMs: NOW_MS })) text += chunk;
  return text;
}

/** In pieces, as they come through a pipe. */
async function* piecesOf(text: string): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += 10_000) yield bytes.subarray(at, at + 10_000);
}

async function importInto(store: Store, text: string, options = PLAIN): Promise<{ done: LogImport; report: ImportReport }> {
  const done = new LogImport(store.raw, options);
  return { done, report: await done.run(transferItems(piecesOf(text))) };
}

async function contentOf(events: AsyncIterable<RawEvent> | Iterable<RawEvent>): Promise<Map<string, string[]>> {
  const content = new Map<string, string[]>();
  for await (const { stream, revision, id, type, contentType, data, metadata, isTombstone } of events) {
    if (isOfServer(stream)) continue;
    const told = isTombstone ? 'ended' : [revision, id, type, contentType, data.toString('hex'), metadata.toString('hex')].join();
    content.set(stream, [...(content.get(stream) ?? []), told]);
  }
  return new Map([...content].sort());
}

function withoutMetastreams(content: Map<string, string[]>): Map<string, string[]> {
  return new Map([...content].filter(([stream]) => !stream.startsWith('$$')));
}

/** As if the events before had been scavenged. */
async function* scavenged(events: AsyncIterable<RawEvent>, first: Readonly<Record<string, number>>): AsyncGenerator<RawEvent> {
  for await (const event of events) if (event.isTombstone || event.revision >= (first[event.stream] ?? 0)) yield event;
}

describe('a log that is exported and imported', () => {
  it('is the same in the other store: streams, revisions, ids and bytes', async () => {
    const [source, target] = [await open(), await open()];
    await furnish(source);
    const { done, report } = await importInto(target, await textOf(source.raw.readAll()));
    const [wanted, found] = [await contentOf(source.raw.readAll()), await contentOf(target.raw.readAll())];
    expect(withoutMetastreams(found)).toEqual(withoutMetastreams(wanted));
    expect(found.get('$$run-1')).toEqual(wanted.get('$$run-1'));
    expect(report).toMatchObject({ softDeleted: 1, tombstones: 2, filled: 0 });
    expect((await verifyImport(done, target.raw.readAll())).eventsVerified).toBe(report.events - 1);
  });

  it('has streams that are limited, deleted and revived as they were', async () => {
    const [source, target] = [await open(), await open()];
    await furnish(source);
    await importInto(target, await textOf(source.raw.readAll()));
    const revisions = async (stream: string): Promise<unknown> => {
      const seen: number[] = [];
      try {
        for await (const { event } of target.client.readStream(stream)) seen.push(Number(event?.revision));
      } catch (error) {
        return (error as { type: string }).type;
      }
      return seen;
    };
    expect(await revisions('run-1')).toEqual([3, 4, 5]);
    expect(await revisions('run-2')).toBe('stream-not-found');
    expect(await revisions('run-3')).toEqual([6]);
    expect(await revisions('run-4')).toBe('stream-deleted');
  });

  it('reads the same from a data folder as from the server', async () => {
    const source = await open();
    await furnish(source);
    const ofServer = await textOf(source.raw.readAll());
    expect(await textOf(readLog(source.folder))).toBe(ofServer);
  });

  it('leaves behind what names places in the log, and what the server writes for itself', async () => {
    const [source, target] = [await open(), await open()];
    const position = { commit: '1', prepare: '1' };
    await source.client.appendToStream('keeper-timers', jsonEvent({ type: 'KeeperCheckpointed', data: { v: 1, position } }));
    await source.client.appendToStream('keeper-published', jsonEvent({ type: 'PublishedUpTo', data: { position } }));
    await source.client.appendToStream('keeper-admission-term', jsonEvent({ type: 'TermMinted', data: {} }));
    await source.client.appendToStream('$persistentSubscriptionConfig', jsonEvent({ type: '$PersistentConfig', data: {} }));
    await importInto(target, await textOf(source.raw.readAll()));
    expect([...(await contentOf(target.raw.readAll())).keys()]).toEqual(['keeper-admission-term']);
  });

  it('goes on after an interruption, and a repeat changes nothing', async () => {
    const [source, target] = [await open(), await open()];
    await furnish(source);
    const text = await textOf(source.raw.readAll());
    const lines = text.split('\n');
    const cut = `${lines.slice(0, lines.length - 700).join('\n')}\n{"stream":"run-lo`;
    await expect(importInto(target, cut)).rejects.toMatchObject({ code: 'TransferCutOff' });
    await importInto(target, text);
    const once = await contentOf(target.raw.readAll());
    expect(withoutMetastreams(once)).toEqual(withoutMetastreams(await contentOf(source.raw.readAll())));
    await importInto(target, text);
    expect(await contentOf(target.raw.readAll())).toEqual(once);
  });

  it('catches up with a source that has grown', async () => {
    const [source, target] = [await open(), await open()];
    await source.client.appendToStream('run-a', jsonEvent({ type: 'Happened', data: {} }));
    await importInto(target, await textOf(source.raw.readAll()));
    await source.client.appendToStream('run-a', jsonEvent({ type: 'Happened', data: {} }));
    await source.client.tombstoneStream('run-b');
    await importInto(target, await textOf(source.raw.readAll()));
    expect(await contentOf(target.raw.readAll())).toEqual(await contentOf(source.raw.readAll()));
  });
});

describe('an import', () => {
  it('names the stream and the revision at which the target holds something else', async () => {
    const [source, target] = [await open(), await open()];
    const events = Array.from({ length: 9 }, (_, at) => proposal(`{"at":${at}}`));
    await source.raw.append('run-a', 'no-stream', events);
    await target.raw.append('run-a', 'no-stream', [...events.slice(0, 5), proposal('{}'), ...events.slice(6)]);
    const text = await textOf(source.raw.readAll());
    await expect(importInto(target, text)).rejects.toMatchObject({
      code: 'TargetDiffers',
      details: { stream: 'run-a', revision: 5 },
    });
  });

  it('does not take a stream that is deleted for ever in the target only', async () => {
    const [source, target] = [await open(), await open()];
    await source.raw.append('run-a', 'no-stream', [proposal('{}')]);
    await target.client.tombstoneStream('run-a');
    const text = await textOf(source.raw.readAll());
    await expect(importInto(target, text)).rejects.toMatchObject({
      code: 'TargetStreamDeleted',
      details: { streams: ['run-a'] },
    });
  });

  it('names an event that the target does not accept', async () => {
    const [source, target] = [await open(), await open({ appendBytesMax: 100 })];
    await source.raw.append('run-a', 'no-stream', [proposal(`"${'x'.repeat(200)}"`)]);
    const text = await textOf(source.raw.readAll());
    await expect(importInto(target, text)).rejects.toMatchObject({
      code: 'EventRefused',
      details: { stream: 'run-a', revision: 0 },
    });
  });

  it('finds what the target holds otherwise when it reads it back', async () => {
    const [source, target, other] = [await open(), await open(), await open()];
    await source.raw.append('run-a', 'no-stream', [proposal('{}'), proposal('{}')]);
    const { done } = await importInto(target, await textOf(source.raw.readAll()));
    await expect(verifyImport(done, other.raw.readAll())).rejects.toMatchObject({
      code: 'VerificationFailed',
      details: { streams: ['run-a'] },
    });
  });
});

describe('a stream whose beginning was scavenged', () => {
  const beginning = { 'run-a': 3, '$$run-a': 1 };
  const given = async (): Promise<{ text: string; target: Store; source: Store }> => {
    const [source, target] = [await open(), await open()];
    const events = Array.from({ length: 6 }, (_, at) => proposal(`{"at":${at}}`));
    await source.client.setStreamMetadata('run-a', { maxCount: 99 });
    await source.client.setStreamMetadata('run-a', { maxCount: 3, owner: 'acme' });
    await source.raw.append('run-a', 'no-stream', events);
    return { text: await textOf(scavenged(source.raw.readAll(), beginning)), target, source };
  };

  it('is refused by name, also before anything is written', async () => {
    const { text, target } = await given();
    await expect(importInto(target, text)).rejects.toMatchObject({ code: 'RevisionsMissing', details: { streams: ['run-a'] } });
    await expect(checkTransfer(piecesOf(text), { fill: false })).rejects.toMatchObject({ code: 'RevisionsMissing' });
    await checkTransfer(piecesOf(text), { fill: true });
  });

  it('keeps its revisions behind hidden stand-ins, also when that is repeated', async () => {
    const { text, target, source } = await given();
    const { report, done } = await importInto(target, text, { fill: true, digest: true });
    expect(report.filled).toBe(3);
    await verifyImport(done, target.raw.readAll());
    const once = await contentOf(target.raw.readAll());
    expect(once.get('run-a')?.slice(3)).toEqual((await contentOf(source.raw.readAll())).get('run-a')?.slice(3));
    await target.client.setStreamMetadata('run-a', { truncateBefore: 3 }, { expectedRevision: 1n });
    await expect(importInto(target, text, { fill: true, digest: true })).resolves.toMatchObject({ report: { filled: 3 } });
    const seen: unknown[] = [];
    for await (const { event } of target.client.readStream('run-a')) seen.push(Number(event?.revision));
    expect(seen).toEqual([3, 4, 5]);
  });

  it('is hidden up to there by metadata that says nothing of it', async () => {
    const { text, target } = await given();
    await importInto(target, text, { fill: true, digest: false });
    const { metadata } = await target.client.getStreamMetadata('run-a');
    expect(metadata).toMatchObject({ truncateBefore: 3, maxCount: 3, owner: 'acme' });
  });
});

describe('a transfer that is not whole', () => {
  const header = headerLine('spec', NOW_MS);
  const line = '{"stream":"run-a","revision":0,"id":"x","type":"T","contentType":"application/json","data":{}}\n';
  const end = (lines: string, events: number): string => {
    const sha256 = createHash('sha256').update(lines).digest('hex');
    return `${JSON.stringify({ end: true, events, tombstones: 0, streams: 1, systemEventsLeftOut: 0, sha256 })}\n`;
  };

  it('passes when it is', async () => {
    await expect(checkTransfer(piecesOf(header + line + end(header + line, 1)), { fill: false })).resolves.toBeUndefined();
  });

  it.each([
    ['is empty', '', 'NotATransfer'],
    ['is something else', 'hello\n', 'NotATransfer'],
    ['is of another version', header.replace('"version":1', '"version":2'), 'NotATransfer'],
    ['ends before its last line', header + line, 'TransferCutOff'],
    ['ends within its last line', (header + line + end(header + line, 1)).slice(0, -1), 'TransferCutOff'],
    ['lacks a line', header + end(header, 1), 'TransferDamaged'],
    ['was changed', header + line.replace('run-a', 'run-b') + end(header + line, 1), 'TransferDamaged'],
    ['holds what is no event', `${header}{"stream":"run-a"}\n`, 'TransferDamaged'],
    ['goes on after its last line', header + line + end(header + line, 1) + line, 'TransferDamaged'],
  ])('is refused when it %s', async (_, text, code) => {
    await expect(checkTransfer(piecesOf(text), { fill: false })).rejects.toMatchObject({ code });
  });
});
