import { deepStrictEqual } from 'node:assert';
import { chanceFrom } from '../crash/chance';
import { logReader, openStream, type PageSource, streamReader } from '../engine/readers';
import { type AppendOutcome, StoreEngine } from '../engine/store-engine';
import { eventIdOf, eventTypeOf, readRecordHeader, recordedAtMsOf, recordedEventOf, streamNameOf } from '../store/record';
import { SimulatedDisk } from '../crash/simulated-disk';
import { idFromText, idToText } from '../wire/event-id';
import { dataOfRecordedEvent, type ProposedEvent } from '../wire/recorded-event';
import { type Start, WHOLE_LOG } from '../wire/requests';
import { type Follower, LogFollower, StreamFollower } from './store-followers';
import { type ModelAnswer, type ModelExpected, type ModelProposal, StoreModel } from './store-model';
import {
  type ChosenExpected,
  type ChosenRead,
  type StoreOperation,
  STREAMS,
  TYPES,
  type WriteOperation,
} from './store-operations';

const FOLDER = '/data';
/** Small, so that short histories lie in several files. */
const SEGMENT_BYTES = 3_000;
const EMPTY = Buffer.alloc(0);

/** The engine and the model, side by side: every operation is done to both, and every answer compared. */
export class StoreHarness {
  readonly model = new StoreModel();
  private readonly disk: SimulatedDisk;
  private engine!: StoreEngine;
  private readonly followers: Follower[] = [];
  private ids = 0;

  private constructor(seed: number) {
    this.disk = new SimulatedDisk(chanceFrom(seed));
    this.model.nowMs = 1_767_225_600_000;
  }

  /** @throws AssertionError at the first difference */
  static async run(operations: readonly StoreOperation[], seed: number): Promise<void> {
    const harness = new StoreHarness(seed);
    await harness.open();
    for (const operation of operations) await harness.perform(operation);
    harness.compareAll();
    await harness.restart('restart');
    harness.compareAll();
    await harness.engine.close();
  }

  private async open(): Promise<void> {
    this.engine = await StoreEngine.open({
      files: this.disk,
      folder: FOLDER,
      nowMs: () => this.model.nowMs,
      segmentBytes: SEGMENT_BYTES,
      onFailed: (error) => {
        throw error;
      },
    });
    for (const follower of this.followers) follower.reopen(this.engine);
  }

  private async perform(operation: StoreOperation): Promise<void> {
    switch (operation.kind) {
      case 'together':
        await this.write(operation.writes);
        break;
      case 'tick':
        this.model.nowMs += operation.seconds * 1000;
        break;
      case 'read-stream':
        this.compareStream(STREAMS[operation.stream] as string, operation);
        break;
      case 'read-log':
        this.compareLog(operation);
        break;
      case 'follow-stream':
        this.follow(new StreamFollower(this.model, STREAMS[operation.stream] as string, operation.from));
        break;
      case 'follow-log':
        this.follow(new LogFollower(this.model, operation));
        break;
      case 'restart':
      case 'power-cut':
        await this.restart(operation.kind);
    }
    for (const follower of this.followers) follower.drain();
  }

  private follow(follower: Follower): void {
    follower.reopen(this.engine);
    this.followers.push(follower);
  }

  private async restart(kind: 'restart' | 'power-cut'): Promise<void> {
    if (kind === 'restart') await this.engine.close();
    else this.disk.powerCut();
    await this.open();
  }

  private async write(writes: readonly WriteOperation[]): Promise<void> {
    const answers = writes.map((operation) => this.writeOne(operation));
    for (const [at, { expected, actual }] of answers.entries()) {
      deepStrictEqual(await actual, this.outcomeOf(expected), `answer to ${JSON.stringify(writes[at])}`);
    }
  }

  /** Both decide at once, in the same order: only the answer of the engine takes time. */
  private writeOne(operation: WriteOperation): { readonly expected: ModelAnswer; readonly actual: Promise<AppendOutcome> } {
    const { engine, model } = this;
    const stream = STREAMS[operation.stream] as string;
    if (operation.kind === 'limits') {
      return this.append(`$$${stream}`, 'any', [{ ...this.fresh(), type: operation.type, data: operation.text }]);
    }
    const expected = this.expectedOf(stream, operation.expected);
    if (operation.kind === 'append') return this.append(stream, expected, this.proposalsOf(operation));
    const isSoft = operation.kind === 'soft-delete';
    const actual = new Promise<AppendOutcome>((settled) => {
      if (isSoft) engine.softDelete(stream, expected, settled);
      else engine.tombstone(stream, expected, settled);
    });
    return { expected: isSoft ? model.softDelete(stream, expected) : model.tombstone(stream, expected), actual };
  }

  private append(stream: string, expected: ModelExpected, proposals: readonly ModelProposal[]) {
    const events = proposals.map(proposedOf);
    const actual = new Promise<AppendOutcome>((settled) => {
      this.engine.append({ stream, expected, events }, settled);
    });
    return { expected: this.model.append(stream, expected, proposals), actual };
  }

  private outcomeOf(answer: ModelAnswer): AppendOutcome {
    if (answer.kind !== 'appended') return answer;
    const position = answer.at === undefined ? undefined : this.engine.index.columns.position(answer.at);
    return { kind: 'appended', revision: answer.revision, position };
  }

  private expectedOf(stream: string, expected: ChosenExpected): ModelExpected {
    return expected.by === 'revision' ? Math.max(0, this.model.current(stream) + expected.offset) : expected.by;
  }

  private proposalsOf({ events }: Extract<WriteOperation, { kind: 'append' }>): readonly ModelProposal[] {
    const fresh = Array.from({ length: events.fresh }, () => this.fresh());
    if (events.again === undefined) return fresh;
    const { stream, back, count } = events.again;
    const written = this.model.eventsOf(STREAMS[stream] as string).filter(({ id }) => id !== undefined);
    const first = Math.max(0, written.length - 1 - back);
    const again = written.slice(first, first + count).map(({ id, type, data }) => ({ id: id as string, type, data }));
    return [...again, ...fresh];
  }

  private fresh(): ModelProposal {
    this.ids += 1;
    const id = `00000000-0000-4000-8000-${this.ids.toString(16).padStart(12, '0')}`;
    return {
      id,
      type: TYPES[this.ids % TYPES.length] as string,
      data: JSON.stringify({ text: 'x'.repeat((this.ids * 37) % 200) }),
    };
  }

  private compareStream(name: string, read: ChosenRead): void {
    const expected = this.model.readStream(name, read);
    const stream = openStream(this.engine, name);
    const request = { ...WHOLE_LOG, ...read, stream: name, from: placeOf(read.from) };
    const actual = typeof stream === 'string' ? stream : eventsOf(streamReader(this.engine, stream, request));
    const wanted = typeof expected === 'string' ? expected : expected.map(({ at }) => at);
    deepStrictEqual(actual, wanted, `read of ${name} ${JSON.stringify(read)}`);
  }

  private compareLog({ from, backwards, limit }: ChosenRead): void {
    const { columns } = this.engine.index;
    const place = typeof from === 'number' ? Math.min(from, columns.count) : from;
    const start = typeof place !== 'number' ? place : place === columns.count ? 'end' : { at: columns.position(place) };
    const actual = eventsOf(logReader(this.engine, { ...WHOLE_LOG, backwards, limit, from: start }));
    const expected = this.model.readLog({ from: place, backwards, limit }).map(({ at }) => at);
    deepStrictEqual(actual, expected, `read of the log ${JSON.stringify({ from, backwards, limit })}`);
  }

  /** Everything that can be read, to the byte. */
  private compareAll(): void {
    const whole = { from: 'start', backwards: false, limit: Infinity } as const;
    const events = eventsOf(logReader(this.engine, { ...WHOLE_LOG, ...whole }));
    let position = 0;
    const actual = events.map((event) => {
      const record = this.engine.record(event);
      const header = readRecordHeader(record, 0, this.engine.index.columns.position(event));
      deepStrictEqual(header?.position, position, 'records lie one behind the other');
      position += record.length;
      const id = idToText(eventIdOf(record));
      return {
        stream: streamNameOf(record),
        revision: header?.revision === -1 ? 'end' : header?.revision,
        type: eventTypeOf(record),
        data: normal(dataOfRecordedEvent(recordedEventOf(record)).toString('utf8')),
        atMs: recordedAtMsOf(record),
        id: this.model.log[event]?.id === undefined ? undefined : id,
      };
    });
    deepStrictEqual(
      actual,
      this.model.log.map((event) => ({ ...event, data: normal(event.data) })),
    );
    for (const name of STREAMS) {
      for (const stream of [name, `$$${name}`]) {
        this.compareStream(stream, whole);
        this.compareStream(stream, { from: 'end', backwards: true, limit: Infinity });
      }
    }
    this.compareLog({ from: 'end', backwards: true, limit: Infinity });
  }
}

function placeOf(from: ChosenRead['from']): Start {
  return typeof from === 'number' ? { at: from } : from;
}

function eventsOf(source: PageSource): readonly number[] {
  const events: number[] = [];
  for (let page = source(); page !== undefined; page = source()) events.push(...page.events);
  return events;
}

function proposedOf({ id, type, data }: ModelProposal): ProposedEvent {
  const bytes = Buffer.from(data, 'utf8');
  return { id: idFromText(id) as Buffer, type, contentType: 'application/json', data: bytes, metadata: EMPTY };
}

/** The server may write the same metadata in other white space. */
function normal(data: string): string {
  try {
    return JSON.stringify(JSON.parse(data));
  } catch {
    return data;
  }
}
