import type { Bus, Host } from '@perdure/kernel';
import { Client } from '@perdure/sdk';
import type { Patience, Pilot } from './pilot';
import { pilotedBus } from './piloted-bus';

export interface PilotedClientOptions {
  readonly bus: Bus;
  readonly host: Host;
  readonly pilot: Pilot;
  readonly tenant: string;
  /** Changes with whatever happens to the run, and stays as it is when only others go on. */
  news(runId: string): number;
}

/** The client of the SDK: while one of its answers is waited for, time may pass. */
export class PilotedClient extends Client {
  constructor(private readonly piloted: PilotedClientOptions) {
    const { bus, host, pilot, tenant } = piloted;
    super({ bus: pilotedBus(bus, pilot), host }, { tenant });
  }

  /** A wait is made of many requests, which share their patience. */
  override await(runId: string): Promise<unknown> {
    const { bus, host, pilot, tenant } = this.piloted;
    const news = (): number => this.piloted.news(runId);
    const patience: Patience = { news, lastNews: news(), leaps: 0 };
    return new Client({ bus: pilotedBus(bus, pilot, patience), host }, { tenant }).await(runId);
  }
}
