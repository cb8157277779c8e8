import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ANY,
  BACKWARDS,
  binaryEvent,
  END,
  type ExpectedRevision,
  EventStoreDBClient,
  FORWARDS,
  NO_STREAM,
  type ReadRevision,
  type ResolvedEvent,
  START,
  STREAM_EXISTS,
  StreamDeletedError,
  StreamNotFoundError,
  WrongExpectedVersionError,
} from '@eventstore/db-client';
import * as fc from 'fast-check';
import { type RunningEventStoreServer, startEventStoreServer } from './server';
import { type ModelAnswer, type ModelExpected, type ModelProposal, type ModelRead, StoreModel } from './spec-kit/store-model';

// A smaller comparison with the model, through the official client: what the wire makes of questions and answers.

const RUNS = 25;
const SEED = 20_260_101;
const STREAMS = ['a', 'b-1', 'ü-ß'] as const;

jest.setTimeout(120_000);

let folder: string;
let server: RunningEventStoreServer;
let client: EventStoreDBClient;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'perdure-model-'));
  server = await startEventStoreServer({ dataDir: folder, port: 0 });
  client = EventStoreDBClient.connectionString(server.connectionString);
});

afterAll(async () => {
  await client.dispose();
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Operation {
  readonly kind: 'append' | 'metadata' | 'delete' | 'tombstone' | 'read';
  readonly stream: number;
  readonly expected: 'any' | 'no-stream' | 'stream-exists' | 'current' | 'past' | 'future';
  readonly events: number;
  readonly again: boolean;
  readonly read: ModelRead;
  readonly limits: string;
}

const operations = fc.array(
  fc.record<Operation>({
    kind: fc.constantFrom('append', 'append', 'append', 'append', 'read', 'read', 'read', 'metadata', 'delete', 'tombstone'),
    stream: fc.nat(STREAMS.length - 1),
    expected: fc.constantFrom('any', 'no-stream', 'stream-exists', 'current', 'current', 'past', 'future'),
    events: fc.nat(3),
    again: fc.boolean(),
    read: fc.record({
      from: fc.oneof(fc.constantFrom('start' as const, 'end' as const), fc.nat(6)),
      backwards: fc.boolean(),
      limit: fc.integer({ min: 1, max: 10 }),
    }),
    limits: fc.constantFrom('{"$maxCount":2}', '{"$tb":2}', '{"$maxCount":1.5}', '{}', 'none'),
  }),
  { minLength: 20, maxLength: 40 },
);

/** Streams of its own, so that a server serves many runs. */
class Comparison {
  private readonly model = new StoreModel();
  private static runs = 0;
  private static ids = 0;
  private readonly prefix = `run${(Comparison.runs += 1)}-`;
  private readonly written: ModelProposal[] = [];
  /** Of each event in the log of the model. */
  private readonly positions = new Map<number, bigint>();

  async perform(operation: Operation): Promise<void> {
    const stream = this.prefix + STREAMS[operation.stream];
    const expected = this.expectedOf(stream, operation);
    switch (operation.kind) {
      case 'append':
        return this.append(stream, expected, this.proposals(operation));
      case 'metadata':
        return this.append(`$$${stream}`, 'any', [{ ...this.fresh(), type: '$metadata', data: operation.limits }]);
      case 'delete':
        if (expected === 'stream-exists') return;
        return this.compare(
          this.model.softDelete(stream, expected),
          client.deleteStream(stream, { expectedRevision: revisionOf(expected) }),
        );
      case 'tombstone':
        if (expected === 'stream-exists') return;
        return this.compare(
          this.model.tombstone(stream, expected),
          client.tombstoneStream(stream, { expectedRevision: revisionOf(expected) }),
        );
      case 'read':
        return this.read(stream, operation.read);
    }
  }

  private async append(stream: string, expected: ModelExpected, proposals: readonly ModelProposal[]): Promise<void> {
    const events = proposals.map(({ id, type, data }) => binaryEvent({ id, type, data: Buffer.from(data) }));
    const answer = this.model.append(stream, expected, proposals);
    await this.compare(
      answer,
      client.appendToStream(stream, events, {
        expectedRevision: expected === 'stream-exists' ? STREAM_EXISTS : revisionOf(expected),
      }),
    );
    this.written.push(...proposals);
  }

  private async compare(
    expected: ModelAnswer,
    actual: Promise<{ readonly nextExpectedRevision?: bigint; readonly position?: { readonly commit: bigint } | undefined }>,
  ): Promise<void> {
    const outcome = await actual.catch((error: unknown) => error);
    if (expected.kind === 'stream-deleted') expect(outcome).toBeInstanceOf(StreamDeletedError);
    else if (expected.kind === 'wrong-version') {
      expect(outcome).toBeInstanceOf(WrongExpectedVersionError);
      const { actualVersion } = outcome as WrongExpectedVersionError;
      expect(actualVersion).toBe(expected.current < 0 ? 'no_stream' : BigInt(expected.current));
    } else {
      const { nextExpectedRevision, position } = outcome as Awaited<typeof actual>;
      // Of a stream without events the client says 0, whatever it is told.
      if (nextExpectedRevision !== undefined && expected.revision >= 0)
        expect(nextExpectedRevision).toBe(BigInt(expected.revision));
      if (expected.at === undefined || position === undefined) return;
      expect(position.commit).toBe(this.positions.get(expected.at) ?? position.commit);
      this.positions.set(expected.at, position.commit);
    }
  }

  private async read(stream: string, { from, backwards, limit }: ModelRead): Promise<void> {
    const expected = this.model.readStream(stream, { from, backwards, limit });
    const fromRevision: ReadRevision = from === 'start' ? START : from === 'end' ? END : BigInt(from);
    const found: ResolvedEvent[] = [];
    const reading = async (): Promise<void> => {
      const options = { direction: backwards ? BACKWARDS : FORWARDS, fromRevision, maxCount: limit } as const;
      for await (const resolved of client.readStream(stream, options)) found.push(resolved);
    };
    if (expected === 'missing') return expect(reading()).rejects.toThrow(StreamNotFoundError);
    if (expected === 'deleted') return expect(reading()).rejects.toThrow(StreamDeletedError);
    await reading();
    expect(found.map(({ event }) => [event?.id, Number(event?.revision), event?.type])).toEqual(
      expected.map(({ id, revision, type }) => [id, revision, type]),
    );
    for (const [index, { at }] of expected.entries()) {
      const position = found[index]?.event?.position?.commit ?? -1n;
      expect(position).toBe(this.positions.get(at) ?? position);
      this.positions.set(at, position);
    }
  }

  private expectedOf(stream: string, { expected }: Operation): ModelExpected {
    const current = this.model.current(stream);
    if (expected === 'current') return current < 0 ? 'no-stream' : current;
    if (expected === 'past') return Math.max(0, current - 2);
    return expected === 'future' ? current + 3 : expected;
  }

  private proposals({ events, again }: Operation): readonly ModelProposal[] {
    const fresh = Array.from({ length: events }, () => this.fresh());
    return again ? [...this.written.slice(-2), ...fresh] : fresh;
  }

  private fresh(): ModelProposal {
    Comparison.ids += 1;
    const id = `00000000-0000-4000-8000-${Comparison.ids.toString(16).padStart(12, '0')}`;
    return { id, type: 'Happened', data: String(Comparison.ids) };
  }
}

function revisionOf(expected: Exclude<ModelExpected, 'stream-exists'>): ExpectedRevision {
  if (typeof expected === 'number') return BigInt(expected);
  return expected === 'any' ? ANY : NO_STREAM;
}

it('the official client is answered as the model of EventStoreDB says', async () => {
  const property = fc.asyncProperty(operations, async (chosen) => {
    const comparison = new Comparison();
    for (const operation of chosen) await comparison.perform(operation);
  });
  await fc.assert(property, { numRuns: RUNS, seed: SEED });
});
