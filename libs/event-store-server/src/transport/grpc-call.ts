import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { MalformedMessage } from '@perdure/platform-event-store-wire';
import { ANONYMOUS, type Caller } from '../access/caller';
import { Code, GrpcError, headerText, messageText } from './grpc-status';
import { MessageAssembler } from './message-assembler';
import { UNREAD } from './unread-answers';

const UNREAD_ANSWERS_MAX = 4 * 1024 * 1024;
const RESPONSE_HEADERS = { ':status': 200, 'content-type': 'application/grpc+proto' };

export interface CallHandler {
  onMessage(message: Buffer): void;
  /** The client has sent everything. */
  onEnd(): void;
  /** The call is over, for whatever reason. */
  onClose(): void;
}

/** One gRPC call on one HTTP/2 stream. Writing to a call that is over does nothing. */
export class GrpcCall {
  /** Known before a method is asked. */
  caller: Caller = ANONYMOUS;
  private handler: CallHandler | undefined;
  private readonly messages = new MessageAssembler();
  private pending: Buffer[] = [];
  private isFlushQueued = false;
  private isOver = false;
  private hasHeaders = false;
  private drained: (() => void) | undefined;

  constructor(
    private readonly stream: ServerHttp2Stream,
    private readonly headers: IncomingHttpHeaders = {},
  ) {
    stream.on('error', () => this.finish());
    stream.on('close', () => this.onClosed());
    stream.on('aborted', () => this.finish());
    stream.on('drain', () => this.onDrain());
  }

  get isClosed(): boolean {
    return this.isOver;
  }

  get path(): string {
    return this.header(':path');
  }

  /** How the client reached this server, as it says itself. */
  get authority(): string {
    return this.header(':authority');
  }

  /** Empty when the client did not send it. */
  header(name: string): string {
    const value = this.headers[name];
    return typeof value === 'string' ? value : '';
  }

  /** Address and port of the client. */
  get peer(): string {
    const socket = this.stream.session?.socket;
    return socket === undefined ? '' : `${socket.remoteAddress}:${socket.remotePort}`;
  }

  serve(handler: CallHandler): void {
    this.handler = handler;
    this.stream.on('data', (chunk: Buffer) => this.guarded(() => this.receive(chunk)));
    this.stream.on('end', () => {
      if (!this.isOver) this.guarded(() => handler.onEnd());
    });
  }

  /** @returns false when the client does not keep up: wait for `whenDrained` before writing more */
  write(frames: Buffer): boolean {
    if (this.isOver) return true;
    this.sendHeaders();
    const hasRoom = this.stream.write(frames);
    if (!hasRoom) UNREAD.hold(this, this.stream.writableLength);
    return hasRoom;
  }

  /** Answers of one turn of the event loop leave together: each write has a cost of its own. */
  writeSoon(frame: Buffer): void {
    this.pending.push(frame);
    if (this.isFlushQueued) return;
    this.isFlushQueued = true;
    process.nextTick(() => this.flush());
  }

  whenDrained(resume: () => void): void {
    this.drained = resume;
  }

  end(): void {
    this.close(Code.ok, '', {});
  }

  fail(error: unknown): void {
    if (error instanceof GrpcError) this.close(error.code, error.message, error.trailers);
    else if (error instanceof MalformedMessage) this.close(Code.invalidArgument, error.message, {});
    else this.close(Code.unknown, error instanceof Error ? error.message : String(error), {});
  }

  /** It has not read what it was given, and others need the memory: it may ask again from where it was. */
  abandon(): void {
    this.stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    this.finish();
  }

  private guarded(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.fail(error);
    }
  }

  private flush(): void {
    this.isFlushQueued = false;
    const frames = this.pending;
    this.pending = [];
    if (frames.length === 0) return;
    this.write(frames.length === 1 ? (frames[0] as Buffer) : Buffer.concat(frames));
    // A client that sends appends but reads no answers must not fill the memory.
    if (!this.isOver && this.stream.writableLength > UNREAD_ANSWERS_MAX) this.stream.pause();
  }

  /** Also of a call that has ended the client may not have read everything until now. */
  private onClosed(): void {
    UNREAD.release(this);
    this.finish();
  }

  private onDrain(): void {
    UNREAD.release(this);
    if (this.stream.isPaused()) this.stream.resume();
    const resume = this.drained;
    this.drained = undefined;
    resume?.();
  }

  private receive(chunk: Buffer): void {
    if (this.isOver) return;
    this.messages.receive(chunk, (message) => {
      this.handler?.onMessage(message);
      return !this.isOver;
    });
  }

  private sendHeaders(): void {
    if (this.hasHeaders) return;
    this.hasHeaders = true;
    this.stream.respond(RESPONSE_HEADERS, { waitForTrailers: true });
  }

  private close(code: number, message: string, trailers: Readonly<Record<string, string>>): void {
    if (this.isOver) return;
    this.flush();
    if (this.isOver) return;
    const ending: Record<string, string> = { 'grpc-status': String(code) };
    if (message !== '') ending['grpc-message'] = messageText(message);
    for (const [name, value] of Object.entries(trailers)) ending[name] = headerText(value);
    if (this.hasHeaders) {
      this.stream.once('wantTrailers', () => {
        this.stream.sendTrailers(ending);
        // In a later turn: a reset overtakes trailers of its own turn, and the client would not know why its call ended.
        setImmediate(() => this.stopReceiving());
      });
      this.stream.end();
    } else {
      this.stream.respond({ ...RESPONSE_HEADERS, ...ending }, { endStream: true });
      this.stream.once('finish', () => this.stopReceiving());
    }
    this.stream.resume();
    this.finish();
  }

  /** The rest of what the client sends is of no interest, and must not hold the stream open. */
  private stopReceiving(): void {
    if (!this.stream.readableEnded) this.stream.close(constants.NGHTTP2_NO_ERROR);
  }

  private finish(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.messages.clear();
    this.drained = undefined;
    this.handler?.onClose();
  }
}
