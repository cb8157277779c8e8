import * as fc from 'fast-check';
import { StoreHarness } from '../spec-kit/store-harness';
import { storeOperations } from '../spec-kit/store-operations';

/** For a longer search: more runs, another seed, more time. A run is about thirty operations. */
const RUNS = 100;
const SEED = 20_260_101;
/** What is left of a failure by then is shown. */
const SEARCH_MS_MAX = 8_000;

it('answers and shows what the model of EventStoreDB does, whatever is asked in whatever order', async () => {
  await fc.assert(
    fc.asyncProperty(storeOperations, fc.nat(), (operations, seed) => StoreHarness.run(operations, seed)),
    { numRuns: RUNS, seed: SEED, interruptAfterTimeLimit: SEARCH_MS_MAX },
  );
});
