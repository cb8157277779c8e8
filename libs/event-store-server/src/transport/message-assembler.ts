import { RECEIVING } from './byte-budget';
import { Code, GrpcError } from './grpc-status';

const HEADER_BYTES = 5;
/** EventStoreDB accepts messages of up to 16 MiB; the client sends appends in parts of 3 MiB. */
export const MESSAGE_BYTES_MAX = 16 * 1024 * 1024;
const PARTIAL_BYTES_MIN = 16 * 1024;
const EMPTY = Buffer.alloc(0);

/**
 * Puts the messages of a call together from the chunks in which they come. A message that is not whole costs at most twice
 * the bytes of it that came, whatever length it claims, and each byte is copied a bounded number of times, however small
 * the chunks are.
 */
export class MessageAssembler {
  /** The message that is not whole yet, header included. */
  private partial = EMPTY;
  private filled = 0;
  private readonly held = RECEIVING.hold();

  /** @param onMessage returns false when no more messages are wanted */
  receive(chunk: Buffer, onMessage: (message: Buffer) => boolean): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.filled === 0) {
        const end = at + wholeSize(chunk, at, chunk.length);
        if (end <= chunk.length) {
          if (!onMessage(chunk.subarray(at + HEADER_BYTES, end))) return;
          at = end;
          continue;
        }
      }
      at += this.take(chunk, at);
      if (this.filled < wholeSize(this.partial, 0, this.filled)) continue;
      const message = this.partial.subarray(HEADER_BYTES, this.filled);
      this.clear();
      if (!onMessage(message)) return;
    }
  }

  clear(): void {
    this.partial = EMPTY;
    this.filled = 0;
    this.held.set(0);
  }

  /** @returns how many bytes of the chunk belong to the partial message, as far as its size is known */
  private take(chunk: Buffer, at: number): number {
    const wanted = wholeSize(this.partial, 0, this.filled);
    const count = Math.min(wanted - this.filled, chunk.length - at);
    const size = this.filled + count;
    if (size > this.partial.length) {
      const wantedSize = Math.max(PARTIAL_BYTES_MIN, size, Math.min(2 * size, wanted));
      // Small ones are free: they must get through when others hold everything.
      this.held.set(wantedSize - PARTIAL_BYTES_MIN);
      const grown = Buffer.allocUnsafeSlow(wantedSize);
      this.partial.copy(grown, 0, 0, this.filled);
      this.partial = grown;
    }
    chunk.copy(this.partial, this.filled, at, at + count);
    this.filled = size;
    return count;
  }
}

/** Bytes of the message that begins at `at`; those of its header while that is not whole. */
function wholeSize(bytes: Buffer, at: number, end: number): number {
  if (end - at < HEADER_BYTES) return HEADER_BYTES;
  if (bytes[at] !== 0) throw new GrpcError(Code.unimplemented, 'Compressed messages are not supported.');
  const length = bytes.readUInt32BE(at + 1);
  if (length <= MESSAGE_BYTES_MAX) return HEADER_BYTES + length;
  throw new GrpcError(Code.resourceExhausted, `A message has ${length} bytes; the limit is ${MESSAGE_BYTES_MAX}.`);
}
