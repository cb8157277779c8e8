import { TestEnvironment } from '@perdure/test-environment';
import { charge, farewell, outbox, subscription } from './subscription';

describe('a subscription', () => {
  let environment: TestEnvironment;

  beforeEach(async () => {
    outbox.length = 0;
    environment = await TestEnvironment.create({ behaviours: [subscription, farewell], tools: [charge] });
  });
  afterEach(() => environment.close());

  it('lives for a year', async () => {
    const run = await environment.client.start(subscription, { customer: 'ada', cents: 900 });
    expect(await run.result()).toEqual({ months: 12 });
    expect(environment.now().toISOString().slice(0, 10)).toBe('2026-12-27');
    expect(outbox.filter((line) => line === 'charged ada 900')).toHaveLength(12);
    expect(outbox.at(-1)).toMatch(/^wrote to ada/);
  });

  it('charges nothing twice when everything is killed in between, and nothing after a cancellation', async () => {
    const run = await environment.client.start(subscription, { customer: 'ada', cents: 900 });
    await environment.skip({ days: 70 });
    await environment.restartWorkers();
    await environment.restartServices();
    await environment.skip({ days: 10 });
    await run.signal('cancel');
    expect(await run.result()).toEqual({ months: 2 });
    expect(outbox.filter((line) => line.startsWith('charged'))).toHaveLength(3);
  });
});
