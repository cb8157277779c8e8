import { decodeStopScavenge } from '../wire/requests';
import { scavengeAnswer } from '../wire/responses';
import { failureError } from './append-errors';
import type { CallHandler, GrpcCall } from './grpc-call';
import { Code, GrpcError } from './grpc-status';
import type { StoreService } from './store-service';
import { unary } from './stream-methods';

/** How many threads, and from which file on, is not the caller's to say: all files, on the one thread there is. */
export function startScavengeCall({ engine, authorization }: StoreService, call: GrpcCall): CallHandler {
  return unary(call, () => {
    authorization.authorize(call, { action: 'operate' });
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

export function stopScavengeCall({ engine, authorization }: StoreService, call: GrpcCall): CallHandler {
  return unary(call, (request) => {
    authorization.authorize(call, { action: 'operate' });
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
