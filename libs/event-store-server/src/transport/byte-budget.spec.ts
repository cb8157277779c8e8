import { ByteBudget } from './byte-budget';

it('refuses what is too much for all together, and has room again for what is given back', () => {
  const budget = new ByteBudget(100);
  const [first, second] = [budget.hold(), budget.hold()];
  first.set(60);
  second.add(30);
  expect(() => second.add(11)).toThrow(/too many unfinished messages/);
  second.add(10);
  first.set(0);
  second.add(60);
  expect(() => first.set(1)).toThrow();
});
