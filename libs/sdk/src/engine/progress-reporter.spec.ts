import type { Bus } from '@perdure/kernel';
import type { ProgressAnswer } from '@perdure/run-contract';
import { VirtualHost } from '../spec-kit/virtual-host';
import { ProgressReporter } from './progress-reporter';

/** Answers each report with the number of the last one that changed anything; what begins with "late" changes nothing. */
class Owner implements Pick<Bus, 'request'> {
  readonly reports: (readonly [seq: number, entries: readonly string[]])[] = [];
  private lastSeq = 0;

  async request(_subject: string, payload: string): Promise<string> {
    const { command } = JSON.parse(payload) as { command: { seq: number; entries: readonly string[] } };
    this.reports.push([command.seq, command.entries]);
    if (!command.entries.every((entry) => entry.startsWith('late'))) this.lastSeq = command.seq;
    const value: ProgressAnswer = {
      seq: this.lastSeq,
      revision: 1,
      instructions: [],
      inbound: [],
      cancelRequested: false,
      ended: false,
    };
    return JSON.stringify({ ok: true, value });
  }
}

describe('the numbers of reports', () => {
  it('follow one another, and one that changed nothing is used again', async () => {
    const [host, owner] = [new VirtualHost(), new Owner()];
    const reporter = new ProgressReporter({
      host,
      bus: owner as unknown as Bus,
      subject: 's',
      actor: { kind: 'worker', id: 'w' },
      epoch: 1,
      onAnswer: () => undefined,
      onRefused: (error) => {
        throw error;
      },
    });
    for (const entry of ['news', 'late of what is over', 'other news']) {
      reporter.add(JSON.stringify(entry));
      reporter.flush();
      await host.passes(1);
    }
    expect(owner.reports).toEqual([
      [1, ['news']],
      [2, ['late of what is over']],
      [2, ['other news']],
    ]);
  });
});
