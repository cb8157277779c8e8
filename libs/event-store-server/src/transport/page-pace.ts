import { PAGE_BYTES } from '../engine/event-pages';
import type { GrpcCall } from './grpc-call';

/** A call that reads nothing keeps so much in memory. */
const FIRST_PAGE_BYTES = 16 * 1024;
const GROWTH = 4;

/** How much a call is given at a time: little at first, more each time it has taken everything. */
export class PagePace {
  bytes = FIRST_PAGE_BYTES;

  whenTaken(call: GrpcCall, resume: () => void): void {
    call.whenDrained(() => {
      this.bytes = Math.min(PAGE_BYTES, this.bytes * GROWTH);
      resume();
    });
  }
}
