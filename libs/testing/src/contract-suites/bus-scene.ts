import type { Bus, CommandBus, FactBus, Headers, KeyValue } from '@perdure/kernel';

/** One process on the bus. */
export interface BusProcess {
  readonly bus: Bus;
  readonly facts: FactBus;
  readonly commands: CommandBus;
  keyValue(bucket: string): KeyValue;
  /** What it has subscribed to is known to the broker. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

export interface BusFixture {
  connect(name: string): Promise<BusProcess>;
  /** The broker is killed and started again; what it had stored is there. */
  restartBroker(): Promise<void>;
  /** The broker is killed, all that it had stored is deleted, and it is started again. */
  wipeBroker(): Promise<void>;
  storedFactIds(): Promise<readonly string[]>;
  deadLetters(): Promise<readonly { readonly payload: string; readonly headers: Headers }[]>;
  stop(): Promise<void>;
}

export type Scene = () => { readonly fixture: BusFixture; readonly asker: BusProcess; readonly answerer: BusProcess };

/** Waits for what must happen in the end; the time limit of the test is the bound. */
export async function eventually(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await new Promise((resolve) => setImmediate(resolve));
}

/** Repeats what may fail while the broker is away, as every caller does. */
export async function untilDone<T>(attempt: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await attempt();
    } catch {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}
