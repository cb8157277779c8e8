import type { StoreEngine } from '../engine/store-engine';
import { decodeStopScavenge } from '../wire/requests';
import { scavengeAnswer } from '../wire/responses';
import { failureError } from './append-errors';
import type { CallHandler, GrpcCall } from './grpc-call';
import { Code, GrpcError } from './grpc-status';
import { unary } from './stream-methods';

/** How many threads, and from which file on, is not the caller's to say: all files, on the one thread there is. */
export function startScavengeCall(engine: StoreEngine, call: GrpcCall): CallHandler {
  return unary(call, () => {
    const { id, isNew } = engine.scavenging.start();
    // Then the caller finds in the log what he was told.
    engine.durable().then(
      () => {
        call.write(scavengeAnswer(id, isNew ? 'started' : 'in-progress'));
        call.end();
      },
      (error: unknown) => call.fail(failureError(error as Error)),
    );
  });
}

export function stopScavengeCall(engine: StoreEngine, call: GrpcCall): CallHandler {
  return unary(call, (request) => {
    const id = decodeStopScavenge(request);
    if (engine.scavenging.stop(id)) {
      call.write(scavengeAnswer(id, 'stopped'));
      call.end();
      return;
    }
    const trailers = { exception: 'scavenge-not-found', 'scavenge-id': id };
    call.fail(new GrpcError(Code.notFound, `The scavenge ${id} is not under way.`, trailers));
  });
}
