import { hunt } from './main';
import { MUTANTS } from './mutants';

describe('the checkers', () => {
  it.each(MUTANTS.map((mutant) => [mutant.name, mutant] as const))('notice a system that %s', async (_name, mutant) => {
    expect(await hunt(mutant)).toBeDefined();
  });
});
