import { join } from 'node:path';
import { GatewayClient, ROOT, type Fact, type RunView } from '@perdure/cli';
import { readBook, type BookLine } from '../rig/book';
import { openRig, type OpenRig } from '../rig/fresh-stack';

export const ENTRY = join(ROOT, 'dist/test/e2e/entries/behaviours.js');
export const OTHER_ENTRY = join(ROOT, 'dist/test/e2e/entries/other-build.js');

/** Starting processes on a busy machine. */
export const START_MAX_MS = 60_000;
const END_MAX_MS = 30_000;

/** A real stack, and what the specs ask of it. */
export class World {
  readonly http: GatewayClient;

  constructor(readonly rig: OpenRig) {
    this.http = new GatewayClient(rig.stack.gatewayUrl);
  }

  static async open(workers: number): Promise<World> {
    return new World(
      await openRig((folder) => ({
        form: 'dev',
        entry: ENTRY,
        workers,
        workerEnv: { PERDURE_E2E_BOOK: join(folder, 'book.jsonl') },
      })),
    );
  }

  async close(): Promise<void> {
    await this.rig.close();
  }

  book(): readonly BookLine[] {
    return readBook(join(this.rig.folder, 'book.jsonl'));
  }

  async start(name: string, input: unknown): Promise<string> {
    return (await this.http.start({ name, input })).runId;
  }

  ended(runId: string): Promise<RunView> {
    return this.http.result(runId, END_MAX_MS);
  }

  async perform(name: string, input: unknown): Promise<RunView['outcome']> {
    return (await this.ended(await this.start(name, input))).outcome;
  }

  async facts(runId: string): Promise<readonly Fact[]> {
    return (await this.http.events(runId, { limit: 1_000 })).facts;
  }

  /** Follows the run over server-sent events until a fact is as wanted. */
  async until(runId: string, wanted: (fact: Fact) => boolean): Promise<Fact> {
    for await (const fact of this.http.follow(runId)) if (wanted(fact)) return fact;
    throw new Error(`The run ${runId} ended without that fact.`);
  }

  post(path: string, body: string, contentType = 'application/json'): Promise<Response> {
    return fetch(new URL(path, this.rig.stack.gatewayUrl), { method: 'POST', body, headers: { 'content-type': contentType } });
  }
}

export function ofType(type: string): (fact: Fact) => boolean {
  return (fact) => fact.type === type;
}
