import { Code, GrpcError } from './grpc-status';

/** Messages and appends that have begun to come and may never end: their senders share this. */
const RECEIVING_BYTES_MAX = 256 * 1024 * 1024;

/** Bytes that many hold and together may not be too many. */
export class ByteBudget {
  private used = 0;

  constructor(private readonly bytesMax: number) {}

  hold(): HeldBytes {
    return new HeldBytes((change) => this.change(change));
  }

  private change(change: number): void {
    if (change > 0 && this.used + change > this.bytesMax) {
      throw new GrpcError(Code.resourceExhausted, 'The event store has too many unfinished messages: send this one again later.');
    }
    this.used += change;
  }
}

/** What one of them holds. */
export class HeldBytes {
  private bytes = 0;

  constructor(private readonly change: (bytes: number) => void) {}

  /** @throws GrpcError `resourceExhausted`, and holds what it held before */
  set(bytes: number): void {
    this.change(bytes - this.bytes);
    this.bytes = bytes;
  }

  add(bytes: number): void {
    this.set(this.bytes + bytes);
  }
}

/** Memory belongs to the process: all servers in it share this. */
export const RECEIVING = new ByteBudget(RECEIVING_BYTES_MAX);
