import { Retryable, Terminal } from '@perdure/kernel';

/** What can keep a stack from starting; each message ends with what to do. */
export class DataDirUnusable extends Terminal {
  constructor(dataDir: string, why: string, advice: string) {
    super('DataDirUnusable', `The data directory ${dataDir} cannot be used: ${why}. ${advice}`, { details: { dataDir } });
  }
}

export class DataDirInUse extends Terminal {
  constructor(dataDir: string, pid: number) {
    super(
      'DataDirInUse',
      `The data directory ${dataDir} is in use by another stack (process ${pid}). Stop that one (kill ${pid}), or choose another directory with --data DIR.`,
      { details: { dataDir, pid } },
    );
  }
}

export class PortTaken extends Terminal {
  constructor(port: number, advice: string) {
    super('PortTaken', `Port ${port} on 127.0.0.1 is taken by another program. ${advice}`, { details: { port } });
  }
}

export class NatsServerMissing extends Terminal {
  constructor(path: string, why: string) {
    super(
      'NatsServerMissing',
      `No nats-server can be started from ${path || 'PERDURE_NATS_SERVER (not set)'}: ${why}. Start through ./perdure, which finds or fetches one, or set PERDURE_NATS_SERVER to its path.`,
    );
  }
}

export class NatsServerTooOld extends Terminal {
  constructor(path: string, found: string, wanted: string) {
    super(
      'NatsServerTooOld',
      `${path} is nats-server ${found}; ${wanted} or newer is needed (older ones leave ghost messages after a kill and ignore newer options silently). Set PERDURE_NATS_SERVER to a newer one.`,
      { details: { found, wanted } },
    );
  }
}

export class EntryMissing extends Terminal {
  constructor(path: string) {
    super(
      'EntryMissing',
      `There is no file ${path} for the workers to load. Give --entry the .js or .ts file that exports your agents and workflows.`,
    );
  }
}

export class ChildDidNotStart extends Terminal {
  constructor(name: string, why: string, logFile: string) {
    super('ChildDidNotStart', `${name} did not start: ${why}. Its log is ${logFile}.`, { details: { child: name, logFile } });
  }
}

export class ChildNotReady extends Retryable {
  constructor(name: string, waitedMs: number) {
    super('ChildNotReady', `${name} was not ready within ${waitedMs} ms.`, { details: { child: name, waitedMs } });
  }
}
