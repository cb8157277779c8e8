import { setTimeout as sleep } from 'node:timers/promises';
import { EventStoreDBClient, StreamNotFoundError } from '@eventstore/db-client';
import { OperationsClient } from '@eventstore/db-client/generated/operations_grpc_pb';
import { type ScavengeResp, StartScavengeReq } from '@eventstore/db-client/generated/operations_pb';
import { type ScavengeReport } from '@perdure/event-store-server';
import { Terminal } from '@perdure/kernel';

const LOOK_AGAIN_MS = 200;

/** The client connects and identifies itself; that this call is missing in it does not matter. */
interface ClientCore {
  execute<T>(client: typeof OperationsClient, name: string, action: (client: OperationsClient) => Promise<T>): Promise<T>;
  callArguments(options: object): [metadata: never, options: never];
}

/**
 * Has a server scavenge, this one or EventStoreDB, and waits for the end.
 * @throws Terminal `StoreNotReached`
 */
export async function scavengeServer(connectionString: string): Promise<Partial<ScavengeReport>> {
  const client = EventStoreDBClient.connectionString(connectionString);
  try {
    const begun = await start(client);
    for (;;) {
      const report = await reportOf(client, `$scavenges-${begun.getScavengeId()}`);
      if (report !== undefined) return report;
      await sleep(LOOK_AGAIN_MS);
    }
  } catch (error) {
    throw new Terminal(
      'StoreNotReached',
      `The event store did not do it: ${error instanceof Error ? error.message : String(error)}`,
    );
  } finally {
    await client.dispose();
  }
}

function start(client: EventStoreDBClient): Promise<ScavengeResp> {
  const core = client as unknown as ClientCore;
  const request = new StartScavengeReq();
  request.setOptions(new StartScavengeReq.Options());
  return core.execute(OperationsClient, 'startScavenge', (operations) => {
    const [metadata, options] = core.callArguments({});
    return new Promise((resolve, reject) => {
      operations.startScavenge(request, metadata, options, (error, response) => (error ? reject(error) : resolve(response)));
    });
  });
}

async function reportOf(client: EventStoreDBClient, stream: string): Promise<Partial<ScavengeReport> | undefined> {
  let report: Partial<ScavengeReport> | undefined;
  try {
    for await (const { event } of client.readStream(stream)) {
      if (event?.type === '$scavengeCompleted') report = event.data as Partial<ScavengeReport>;
    }
  } catch (error) {
    if (!(error instanceof StreamNotFoundError)) throw error;
  }
  return report;
}
