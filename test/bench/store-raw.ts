import type { EventStoreProcess } from '@perdure/event-store-server';
import { runRawLoad } from './raw-load';
import { type Row, latency, medians, spending } from './store-server';

const WINDOWS = [1, 128, 1024];
/** Many, as in production; few enough that each is written again and again. */
const STREAMS = 1000;
const WARM_UP_APPENDS = 5000;

export interface RawMeasurement {
  readonly secondsEach: number;
  readonly rounds: number;
  readonly eventBytes: number;
}

/** What the server does when its client costs next to nothing. */
export async function measureRawAppends(server: EventStoreProcess, load: RawMeasurement): Promise<readonly Row[]> {
  const { eventBytes } = load;
  const common = { port: server.port, streams: STREAMS, eventBytes };
  await runRawLoad({ ...common, prefix: 'raw-warm-', window: 128, isOver: (sent) => sent >= WARM_UP_APPENDS });
  const rows: Row[] = [];
  for (const window of WINDOWS) {
    const round = async (at: number): Promise<Row> => {
      const millis: number[] = [];
      const endsAt = performance.now() + load.secondsEach * 1000;
      const spent = spending(server.processId);
      const appends = await runRawLoad({
        ...common,
        prefix: `raw-${window}-${at}-`,
        window,
        isOver: () => performance.now() >= endsAt,
        onAnswer: (took) => millis.push(took),
      });
      const { seconds, serverCpuMicros, clientCpuMicros } = spent();
      return {
        appendsPerSecond: Math.round(appends / seconds),
        ...latency(millis),
        serverCpuMicrosPerAppend: Math.round(serverCpuMicros / appends),
        clientCpuMicrosPerAppend: Math.round(clientCpuMicros / appends),
        serverCoresBusy: Number((serverCpuMicros / 1e6 / seconds).toFixed(2)),
      };
    };
    rows.push({ client: 'raw', window, ...(await medians(load.rounds, round)) });
  }
  return rows;
}
