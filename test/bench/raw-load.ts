import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { ProtoWriter } from '@perdure/platform-event-store-wire';

// Appends that cost their sender next to nothing, to see what the server alone can do: one message is encoded once, and
// only its numbers are written anew.

const BATCH_APPEND = '/event_store.client.streams.Streams/BatchAppend';
const WINDOW_BYTES = 4 * 1024 * 1024;
const DEADLINE_SECONDS = 30;
const FRAME_HEADER_BYTES = 5;
const DIGITS = 12;
const ID_HEAD = '00000000-0000-4000-9000-';
const NO_DIGITS = '0'.repeat(DIGITS);
/** Of an answer: frame, two tags and two lengths, the head of the id; then the digits, then the tag that tells how it went. */
const ANSWER_DIGITS_AT = FRAME_HEADER_BYTES + 4 + ID_HEAD.length;
const ANSWER_KIND_AT = ANSWER_DIGITS_AT + DIGITS;
const SUCCESS_TAG = 0x1a;

export interface RawLoad {
  readonly port: number;
  /** Appends under way at a time. */
  readonly window: number;
  /** Event n goes to stream n modulo this. */
  readonly streams: number;
  readonly prefix: string;
  readonly eventBytes: number;
  /** No more are sent when this says so. */
  readonly isOver: (sent: number) => boolean;
  readonly onAnswer?: (millis: number) => void;
}

/** @returns how many were acknowledged */
export async function runRawLoad(load: RawLoad): Promise<number> {
  const session = connect(`http://127.0.0.1:${load.port}`, { settings: { initialWindowSize: WINDOW_BYTES } });
  try {
    await once(session, 'connect');
    session.setLocalWindowSize(WINDOW_BYTES);
    return await new Sender(load, open(session)).run();
  } finally {
    session.destroy();
  }
}

function open(session: ClientHttp2Session): ClientHttp2Stream {
  return session.request({ ':method': 'POST', ':path': BATCH_APPEND, te: 'trailers', 'content-type': 'application/grpc' });
}

let idsUsed = 0;

class Sender {
  private readonly template: Buffer;
  private readonly digitsAt: readonly number[];
  private readonly sentAtMs: Float64Array;
  private sent = 0;
  private answered = 0;
  private rest: Buffer = Buffer.alloc(0);
  private ended: ((error?: Error) => void) | undefined;

  constructor(
    private readonly load: RawLoad,
    private readonly call: ClientHttp2Stream,
  ) {
    this.template = templateOf(load);
    this.digitsAt = placesOf(this.template);
    this.sentAtMs = new Float64Array(load.window * 2);
  }

  async run(): Promise<number> {
    const done = new Promise<void>((resolve, reject) => {
      this.ended = (error) => (error === undefined ? resolve() : reject(error));
    });
    this.call.on('data', (chunk: Buffer) => this.receive(chunk));
    this.call.on('error', (error) => this.ended?.(error));
    this.call.on('close', () => this.ended?.(new Error('The server ended the call.')));
    this.send(this.load.window);
    await done;
    return this.answered;
  }

  private send(count: number): void {
    const { template, load } = this;
    let room = 0;
    while (room < count && !load.isOver(this.sent + room)) room += 1;
    if (room === 0) {
      if (this.answered === this.sent) this.ended?.();
      return;
    }
    const bytes = Buffer.allocUnsafe(room * template.length);
    const nowMs = performance.now();
    for (let at = 0; at < room; at += 1) {
      template.copy(bytes, at * template.length);
      this.fill(bytes, at * template.length);
      this.sentAtMs[this.sent % this.sentAtMs.length] = nowMs;
      this.sent += 1;
    }
    this.call.write(bytes);
  }

  private fill(bytes: Buffer, start: number): void {
    idsUsed += 1;
    const [correlation, stream, event] = this.digitsAt as [number, number, number];
    bytes.write(this.sent.toString(16).padStart(DIGITS, '0'), start + correlation, 'latin1');
    bytes.write(String(this.sent % this.load.streams).padStart(DIGITS, '0'), start + stream, 'latin1');
    bytes.write(idsUsed.toString(16).padStart(DIGITS, '0'), start + event, 'latin1');
  }

  private receive(chunk: Buffer): void {
    const bytes = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    const nowMs = performance.now();
    let at = 0;
    let count = 0;
    while (bytes.length - at >= FRAME_HEADER_BYTES) {
      const end = at + FRAME_HEADER_BYTES + bytes.readUInt32BE(at + 1);
      if (end > bytes.length) break;
      if (bytes[at + ANSWER_KIND_AT] !== SUCCESS_TAG) {
        this.ended?.(new Error(`An append was refused: ${bytes.toString('latin1', at + ANSWER_KIND_AT, end)}`));
        return;
      }
      const sequence = Number.parseInt(bytes.toString('latin1', at + ANSWER_DIGITS_AT, at + ANSWER_KIND_AT), 16);
      this.load.onAnswer?.(nowMs - (this.sentAtMs[sequence % this.sentAtMs.length] as number));
      at = end;
      count += 1;
    }
    this.rest = bytes.subarray(at);
    this.answered += count;
    this.send(count);
  }
}

function templateOf({ prefix, eventBytes }: RawLoad): Buffer {
  const id = ID_HEAD + NO_DIGITS;
  const property = (event: ProtoWriter, key: string, value: string): void => {
    event.message(2, (entry) => entry.text(1, key).text(2, value));
  };
  const message = new ProtoWriter()
    .message(1, (correlation) => correlation.text(2, id))
    .message(2, (options) => {
      options.message(1, (stream) => stream.text(3, `${prefix}${NO_DIGITS}`)).empty(4);
      options.message(7, (duration) => duration.uint(1, DEADLINE_SECONDS));
    })
    .message(3, (event) => {
      event.message(1, (uuid) => uuid.text(2, id));
      property(event, 'type', 'Measured');
      property(event, 'content-type', 'application/json');
      event.text(3, '{"tenant":"bench"}').text(4, JSON.stringify({ filler: 'x'.repeat(eventBytes) }));
    })
    .uint(4, 1)
    .finish();
  const framed = Buffer.alloc(FRAME_HEADER_BYTES + message.length);
  framed.writeUInt32BE(message.length, 1);
  message.copy(framed, FRAME_HEADER_BYTES);
  return framed;
}

/** Of the correlation id, the stream, the event id: in this order. */
function placesOf(template: Buffer): readonly number[] {
  const places: number[] = [];
  for (let at = template.indexOf(NO_DIGITS); at >= 0; at = template.indexOf(NO_DIGITS, at + DIGITS)) places.push(at);
  if (places.length !== 3) throw new Error(`The template has ${places.length} numbers instead of 3.`);
  return places;
}
