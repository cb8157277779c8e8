import { MemoryBlobStore } from '@perdure/platform-blob-memory';
import {
  drawFaults,
  FaultPlan,
  SimBroker,
  SimBucket,
  SimDisks,
  SimProcess,
  SimStoreServer,
  Simulation,
  type FaultSettings,
  type SeededRandom,
  type Violation,
} from '@perdure/testing';
import { Approvers } from './approvers';
import { Auditor } from './auditor';
import { LogView } from './log-view';
import { BUILDS } from './builds';
import { Client, type Wish } from './client';
import { OuterWorld } from './outer-world';
import { Planner } from './planner';
import { drawPlan, signalsOf, type Plan, type Shares } from './program';
import {
  admission,
  orchestrator,
  portsOf,
  teller,
  timers,
  worker,
  type Beginning,
  type Ports,
  type Premises,
  type Role,
} from './roles';

/**
 * One story: the real classes of every service on a simulated machine park, under a seeded load, with seeded faults.
 *
 * 1. Faults happen until HEAL_MS; then they stop, and everything has LIVENESS_MS to come to its end.
 * 2. What died is started again after a while, as a supervisor would: a new incarnation of the same role.
 * 3. The story ends soon after its last run, and the audit looks at what the log, the broker and the world have seen.
 */
export const HEAL_MS = 12_000;
export const LIVENESS_MS = 45_000;
/** After the last end: time for what follows an end to be done. */
const SETTLE_MS = 7_000;
const LOOK_EVERY_MS = 250;
const RESTART_MS = [50, 2_000] as const;
const RUNS = [6, 14] as const;
const START_UNTIL_MS = 8_000;
/** Of the stories: those with a policy that asks for approvals. */
const APPROVALS_SHARE = 0.5;
/** Likewise with schedules. */
const SCHEDULES_SHARE = 0.4;
/** Of the uses of tools, in stories that have such effects. */
const CLAIMED_SHARE = 0.4;
/** Likewise of tools with a pool of their own. */
const POOLED_SHARE = 0.3;
/** Of the operations of workflows, in stories that have signals. */
const CHILD_SHARE = 0.2;
const WAIT_SHARE = 0.12;

type RoleName = 'orchestrator' | 'worker' | 'admission' | 'timers' | 'teller';
const LATER_POINTS = /^(?:schedule\.|owner\.before-answer|worker\.|tool\.)/;
const PARK: readonly (readonly [RoleName, number])[] = [
  ['orchestrator', 2],
  ['admission', 2],
  ['timers', 2],
  ['worker', 3],
];
/** In stories whose tools have a pool of their own. */
const TELLERS = 2;
const BEGINNINGS: Readonly<Record<RoleName, (premises: Premises, ports: Ports) => Beginning>> = {
  orchestrator,
  worker,
  admission,
  timers,
  teller,
};

export type { RoleName };

/** Takes one defence away, to see whether that is noticed. */
export interface Mutant {
  readonly name: string;
  /** Looked for in stories that have schedules; the others, in stories that have none. */
  readonly schedules?: true;
  /** What a process of the role is given. */
  ports?(role: RoleName, ports: Ports): Ports;
  /** What a process of the role has made of it, before it starts. */
  alter?(role: RoleName, made: Role): void;
}

export interface StoryOptions {
  readonly seed: number;
  readonly mutant?: Mutant;
  /** False: no effects that must not be doubled, whatever the seed draws. */
  readonly claims?: boolean;
  /** False: all workers have one build, whatever the seed draws. */
  readonly builds?: boolean;
  /** False: no tools with a pool of their own. */
  readonly pools?: boolean;
  /** False: runs start no others. */
  readonly children?: boolean;
  /** False: nobody sends or waits for signals. */
  readonly signals?: boolean;
  /** False: nobody goes back in a run. */
  readonly rewinds?: boolean;
  /** False: nobody has schedules; true: somebody has. */
  readonly schedules?: boolean;
  /** Instead of those that the seed draws. */
  readonly faults?: FaultSettings;
  onLine?(line: string): void;
}

export interface StoryResult {
  readonly seed: number;
  readonly violations: readonly Violation[];
  readonly faults: FaultSettings;
  readonly traceHash: string;
  readonly lastLines: readonly string[];
  readonly events: number;
  readonly facts: number;
  readonly virtualMs: number;
  readonly runs: number;
  readonly reexecutedPure: number;
}

export class Story {
  readonly simulation: Simulation;
  readonly faults: FaultPlan;
  readonly premises: Premises;
  readonly wishes: readonly Wish[];
  readonly roles = new Map<string, Role>();
  readonly client: Client;
  /** In stories that have a policy. */
  private readonly approvers: Approvers | undefined;
  /** In stories that have schedules. */
  readonly planner: Planner | undefined;
  private readonly auditor: Auditor;
  private readonly tellers: number;
  private reexecutedPure = 0;
  private readonly incarnations = new Map<string, number>();
  private readonly chance: SeededRandom;
  private readonly crashes: SeededRandom;
  private readonly laterCrashes: SeededRandom;

  constructor(private readonly options: StoryOptions) {
    const { seed } = options;
    this.simulation = new Simulation({ seed, ...(options.onLine === undefined ? {} : { onLine: options.onLine }) });
    const { simulation } = this;
    this.chance = simulation.random.split('machine park');
    this.crashes = simulation.random.split('crash points');
    this.laterCrashes = simulation.random.split('later crash points');
    this.faults = new FaultPlan(
      options.faults ?? drawFaults(simulation.random.split('swarm')),
      simulation.random.split('faults'),
    );
    const broker = new SimBroker(simulation, this.faults);
    this.premises = {
      broker,
      store: new SimStoreServer(simulation, this.faults),
      blobs: new MemoryBlobStore(),
      disks: new SimDisks(),
      leases: new SimBucket(broker, 'leases'),
      maps: new SimBucket(broker, 'maps'),
      world: new OuterWorld(simulation),
      schedules: options.schedules ?? simulation.random.split('schedules').chance(SCHEDULES_SHARE),
      severalBuilds: options.builds !== false && simulation.random.split('builds').chance(0.5),
    };
    const claims = simulation.random.split('claims');
    const claimedShare = options.claims === false || claims.chance(0.4) ? 0 : CLAIMED_SHARE;
    const arePooled = options.claims !== false && options.pools !== false && simulation.random.split('pools').chance(0.4);
    this.tellers = arePooled ? TELLERS : 0;
    const { severalBuilds } = this.premises;
    const signals = simulation.random.split('signals');
    const waits = options.signals === false || signals.chance(0.4) ? 0 : WAIT_SHARE;
    const children = options.children !== false && simulation.random.split('children').chance(0.4) ? CHILD_SHARE : 0;
    const shares = { claimed: claimedShare, pooled: arePooled ? POOLED_SHARE : 0, waits, children };
    const rewinds = options.rewinds !== false && simulation.random.split('rewinds').chance(0.5);
    this.wishes = drawWishes(simulation.random.split('load'), { shares, severalBuilds, rewinds });
    const caller = new SimProcess(simulation, { name: 'caller', incarnation: 1, skewMs: 0, crashesAt: () => false });
    this.client = new Client({ process: caller, bus: broker.bus(broker.connect(caller)) }, simulation.random.split('caller'));
    this.approvers = simulation.random.split('approvals').chance(APPROVALS_SHARE) ? this.newApprovers() : undefined;
    this.planner = this.premises.schedules ? this.newPlanner() : undefined;
    this.auditor = new Auditor(this);
  }

  async run(): Promise<void> {
    const park = [...PARK, ['teller', this.tellers] as const];
    for (const [role, count] of park) for (let index = 1; index <= count; index += 1) this.startProcess(role, `${role}-${index}`);
    this.client.begin(this.wishes);
    this.planner?.begin();
    this.approvers?.begin(this.wishes.map(({ runId }) => runId));
    this.scheduleFaults();
    this.simulation.at(HEAL_MS, () => this.heal(), { label: 'HEAL' });
    this.simulation.at(HEAL_MS, () => this.look(), { label: 'look' });
    this.auditor.watch();
    await this.simulation.run(HEAL_MS + LIVENESS_MS);
    this.reexecutedPure = this.auditor.conclude();
  }

  result(): StoryResult {
    const { simulation } = this;
    return {
      seed: this.options.seed,
      violations: simulation.violations,
      faults: this.faults.drawnSettings,
      traceHash: simulation.trace.hash,
      lastLines: simulation.trace.last(),
      events: simulation.events,
      facts: this.premises.store.log.length,
      virtualMs: simulation.nowMs,
      runs: this.wishes.length,
      reexecutedPure: this.reexecutedPure,
    };
  }

  get allEnded(): boolean {
    return this.client.ended.size === this.wishes.length && this.planner?.isOver !== false;
  }

  private startProcess(role: RoleName, name: string): void {
    const incarnation = (this.incarnations.get(name) ?? 0) + 1;
    this.incarnations.set(name, incarnation);
    const { skewMaxMs } = this.faults.drawnSettings;
    const skewMs = Math.round(this.simulation.random.split(`skew of ${name}`).between(-skewMaxMs, skewMaxMs));
    const process = new SimProcess(this.simulation, {
      name,
      incarnation,
      skewMs,
      crashesAt: (point) => this.chanceAt(point).fraction() < this.faults.now.crashPoint,
    });
    process.onEnd(() => this.restart(role, name));
    process.schedule(0, 'starts', () => this.begin(role, process));
  }

  private begin(role: RoleName, process: SimProcess): void {
    const given = portsOf(this.premises, process);
    const { mutant } = this.options;
    const { role: made, start } = BEGINNINGS[role](this.premises, mutant?.ports?.(role, given) ?? given);
    mutant?.alter?.(role, made);
    this.roles.set(process.role, made);
    start().catch((error: unknown) => process.kill(`since it did not start: ${String(error)}`));
  }

  /** Points that were named later are drawn apart: the stories of seeds that once showed something stay what they were. */
  private chanceAt(point: string): SeededRandom {
    return LATER_POINTS.test(point) ? this.laterCrashes : this.crashes;
  }

  private restart(role: RoleName, name: string): void {
    this.simulation.at(this.chance.between(...RESTART_MS), () => this.startProcess(role, name), {
      label: `${name} is started again`,
    });
  }

  private scheduleFaults(): void {
    const { faults, chance } = this;
    const { broker, store } = this.premises;
    const alive = (): SimProcess[] => [...this.roles.values()].map(({ process }) => process).filter((process) => process.alive);
    const each = (kind: keyof FaultSettings, strike: () => void): void => {
      const meanMs = faults.now[kind];
      if (meanMs <= 0) return;
      this.simulation.at(
        chance.exponential(meanMs),
        () => {
          if (faults.now[kind] > 0) strike();
          each(kind, strike);
        },
        { label: `fault ${kind}` },
      );
    };
    const withOne = (strike: (process: SimProcess) => void): void => {
      const living = alive();
      if (living.length > 0) strike(chance.pick(living));
    };
    each('killEveryMs', () => withOne((process) => process.kill('by chance')));
    each('pauseEveryMs', () => withOne((process) => process.pause(chance.between(100, chance.chance(0.5) ? 1_000 : 6_000))));
    each('busDisconnectEveryMs', () =>
      withOne((process) => broker.linksOf(process).forEach((link) => broker.disconnect(link, chance.between(50, 3_000)))),
    );
    each('busWipeEveryMs', () => broker.wipe());
    each('storeRestartEveryMs', () => store.restart(chance.between(100, 2_000)));
    each('followDropEveryMs', () => store.dropFollowers());
  }

  private newApprovers(): Approvers {
    const { simulation, premises } = this;
    const { broker, store } = premises;
    const process = new SimProcess(simulation, { name: 'approvers', incarnation: 1, skewMs: 0, crashesAt: () => false });
    const bus = broker.bus(broker.connect(process));
    return new Approvers({ process, bus, log: new LogView(store) }, simulation.random.split('approvers'));
  }

  private newPlanner(): Planner {
    const { simulation, premises } = this;
    const process = new SimProcess(simulation, { name: 'planner', incarnation: 1, skewMs: 0, crashesAt: () => false });
    const bus = premises.broker.bus(premises.broker.connect(process));
    return new Planner({ process, bus, log: new LogView(premises.store) }, simulation.random.split('planner'));
  }

  private heal(): void {
    this.faults.heal();
  }

  /** Ends the story when nothing is left to wait for. Until then, an operator resumes what was paused, and looks for what nobody knows of. */
  private look(): void {
    for (const runId of this.auditor.pausedRuns()) void this.client.resume(runId);
    for (const { runId, use } of this.auditor.questions()) {
      if (this.client.ended.has(runId)) continue;
      void this.client.resolve({ runId, call: use.call, result: this.premises.world.resultOf(use) });
    }
    for (const letter of this.auditor.deadLetters()) if (!this.client.ended.has(letter.runId)) void this.client.redrive(letter);
    if (this.allEnded) this.simulation.at(SETTLE_MS, () => this.simulation.stop(), { label: 'the end' });
    else this.simulation.at(LOOK_EVERY_MS, () => this.look(), { label: 'look' });
  }
}

function pauseOf(random: SeededRandom): number | undefined {
  return random.chance(0.15) ? random.between(0, 5_000) : undefined;
}

function rewindOf(random: SeededRandom): Wish['rewind'] {
  return random.chance(0.3)
    ? { afterMs: random.between(0, 6_000), to: random.chance(0.4) ? 'head' : random.integer(1, 30) }
    : undefined;
}

/** A build that somebody pins the run to, and when. */
function repinOf(random: SeededRandom): Wish['repin'] {
  return random.chance(0.3) ? { afterMs: random.between(0, 6_000), buildId: random.pick(BUILDS) } : undefined;
}

/** What it waits for, and now and then something that nobody asked for. */
function drawSignals(random: SeededRandom, plan: Plan): Wish['signals'] {
  const unasked = Array.from({ length: random.integer(0, 2) }, () => ({ name: 'by-the-way', payload: random.integer(1, 99) }));
  return [...signalsOf(plan), ...unasked].map((signal) => ({ ...signal, afterMs: random.between(0, 5_000) }));
}

function drawWishes(
  random: SeededRandom,
  { shares, severalBuilds, rewinds }: { readonly shares: Shares; readonly severalBuilds: boolean; readonly rewinds: boolean },
): readonly Wish[] {
  const count = random.integer(...RUNS);
  return Array.from({ length: count }, (_, index) => {
    const runId = `run-${index + 1}`;
    const plan = drawPlan(runId, random.split(runId), shares);
    const mayRepin = severalBuilds && plan.kind === 'workflow';
    return {
      runId,
      plan,
      repin: mayRepin ? repinOf(random.split(`${runId}-repin`)) : undefined,
      signals: shares.waits === 0 ? [] : drawSignals(random.split(`${runId}-signals`), plan),
      startAtMs: random.between(0, START_UNTIL_MS),
      deadlineMs: random.chance(0.1) ? random.integer(500, 10_000) : undefined,
      cancelAfterMs: random.chance(0.15) ? random.between(0, 5_000) : undefined,
      pauseAfterMs: pauseOf(random.split(`${runId}-pause`)),
      rewind: rewinds ? rewindOf(random.split(`${runId}-rewind`)) : undefined,
      repeatAfterMs: random.chance(0.3) ? random.between(0, 6_000) : undefined,
    };
  });
}
