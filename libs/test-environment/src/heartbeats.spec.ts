import { tool, workflow } from '@perdure/sdk';
import { z } from 'zod';
import { TestEnvironment } from './test-environment';

const nothing = z.object({});
const PAGES = 6;

/** Pages that were scanned, in their order, whoever did it. */
let scanned: number[];
let environment: TestEnvironment;

/** Goes on behind the page that was said last; the scanner fails once in the middle. */
const scan = (pool?: string) =>
  tool({
    name: pool === undefined ? 'scan' : `scan_${pool}`,
    description: 'Scans a book.',
    input: nothing,
    effect: 'idempotent',
    ...(pool === undefined ? {} : { pool }),
    retry: { attemptsMax: 3 },
    execute: (_, { heartbeat, lastHeartbeat, attempt }) => {
      const from = ((lastHeartbeat as { page: number } | undefined)?.page ?? 0) + 1;
      for (let page = from; page <= PAGES; page += 1) {
        if (attempt === 1 && page === 4) throw new Error('paper jam');
        scanned.push(page);
        heartbeat({ page });
      }
      return scanned.length;
    },
  });
const [own, elsewhere] = [scan(), scan('scanners')];

const archive = workflow(
  { name: 'archive', input: z.object({ pooled: z.boolean() }), tools: [own, elsewhere] },
  (ctx, { pooled }) => ctx.tool(pooled ? elsewhere : own, {}),
);

beforeEach(() => {
  scanned = [];
});
afterEach(() => environment.close());

describe('a tool that says how far it is', () => {
  it.each([
    ['of the worker that holds the run', false],
    ['of a pool', true],
  ])('goes on from there in its next attempt: %s', async (_whose, pooled) => {
    environment = await TestEnvironment.create({ behaviours: [archive], tools: [elsewhere] });
    const run = await environment.client.start(archive, { pooled });
    expect(await run.result()).toBe(PAGES);
    expect(scanned).toEqual([1, 2, 3, 4, 5, 6]);
  });
});
