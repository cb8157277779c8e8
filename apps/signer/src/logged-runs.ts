import type { RunFacts } from '@perdure/approval-application';
import type { EventStore, RecordedEvent } from '@perdure/kernel';
import type { RunCodec } from '@perdure/run-application';
import { runStream, type RunAddress, type RunEventOf } from '@perdure/run-contract';

type Found = NonNullable<Awaited<ReturnType<RunFacts['find']>>>;

const PAGE = 200;
/** Facts looked through, from the newest: an approval that is waited for is near the end of its run. */
const FACTS_MAX = 20_000;

/** Runs as the log has them. */
export class LoggedRuns implements RunFacts {
  constructor(
    private readonly store: Pick<EventStore, 'read'>,
    private readonly codec: Pick<RunCodec, 'decode'>,
  ) {}

  async find(address: RunAddress, call: string): Promise<Found | undefined> {
    const stream = runStream.build(address);
    const [first] = await this.store.read(stream, { direction: 'forward', from: 0, limit: 1 });
    if (first === undefined) return undefined;
    const request = await this.newest<'ApprovalRequested'>(address, { type: 'ApprovalRequested', call, from: 'end' });
    if (request === undefined) return {};
    const effect = await this.newest<'EffectIntended'>(address, { type: 'EffectIntended', call, from: request.revision });
    if (effect === undefined) return {};
    const { data: requested } = (await this.codec.decode(address, first)) as RunEventOf<'RunRequested'>;
    const run = { name: requested.name, requestedBy: requested.requestedBy ?? 'unknown' };
    return { approval: { request: request.data, effect: effect.data, run } };
  }

  private async newest<T extends 'ApprovalRequested' | 'EffectIntended'>(
    address: RunAddress,
    { type, call, from }: { readonly type: T; readonly call: string; readonly from: number | 'end' },
  ): Promise<{ readonly data: RunEventOf<T>['data']; readonly revision: number } | undefined> {
    let next = from;
    for (let read = 0; read < FACTS_MAX; read += PAGE) {
      const page = await this.store.read(runStream.build(address), { direction: 'backward', from: next, limit: PAGE });
      const found = page.find((event) => event.type === type && (event.data as { readonly call?: string }).call === call);
      if (found !== undefined) return { data: await this.dataOf<T>(address, found), revision: found.revision };
      const last = page.at(-1);
      if (last === undefined || last.revision === 0) return undefined;
      next = last.revision - 1;
    }
    return undefined;
  }

  private async dataOf<T extends 'ApprovalRequested' | 'EffectIntended'>(address: RunAddress, found: RecordedEvent) {
    const event: { readonly data: unknown } = await this.codec.decode(address, found);
    return event.data as RunEventOf<T>['data'];
  }
}
