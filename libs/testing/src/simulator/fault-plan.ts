import type { SeededRandom } from './seeded-random';

/** Rates of faults; zero = switched off. Rates are probabilities of one message or call; `…EveryMs` are mean gaps. */
export interface FaultSettings {
  readonly storeRequestLost: number;
  /** Written, and nobody was told. */
  readonly storeAnswerLost: number;
  readonly storeSlow: number;
  readonly followDropEveryMs: number;
  readonly storeRestartEveryMs: number;
  readonly busLost: number;
  readonly busDelayed: number;
  readonly busDuplicated: number;
  readonly busReordered: number;
  readonly busDisconnectEveryMs: number;
  readonly busWipeEveryMs: number;
  readonly killEveryMs: number;
  readonly pauseEveryMs: number;
  /** Probability that a process ends at a named point that it passes. */
  readonly crashPoint: number;
  readonly skewMaxMs: number;
}

export const NO_FAULTS: FaultSettings = {
  storeRequestLost: 0,
  storeAnswerLost: 0,
  storeSlow: 0,
  followDropEveryMs: 0,
  storeRestartEveryMs: 0,
  busLost: 0,
  busDelayed: 0,
  busDuplicated: 0,
  busReordered: 0,
  busDisconnectEveryMs: 0,
  busWipeEveryMs: 0,
  killEveryMs: 0,
  pauseEveryMs: 0,
  crashPoint: 0,
  skewMaxMs: 0,
};

/** From mildest to worst, when switched on. */
const RANGES: { readonly [K in keyof FaultSettings]: readonly [number, number] } = {
  storeRequestLost: [0.01, 0.15],
  storeAnswerLost: [0.01, 0.15],
  storeSlow: [0.005, 0.05],
  followDropEveryMs: [3_000, 500],
  storeRestartEveryMs: [10_000, 3_000],
  busLost: [0.01, 0.15],
  busDelayed: [0.01, 0.2],
  busDuplicated: [0.01, 0.2],
  busReordered: [0.05, 0.5],
  busDisconnectEveryMs: [8_000, 1_500],
  busWipeEveryMs: [12_000, 4_000],
  killEveryMs: [5_000, 600],
  pauseEveryMs: [8_000, 1_000],
  crashPoint: [0.002, 0.03],
  skewMaxMs: [20, 200],
};

/** Swarm testing: each seed switches each kind of fault on or off, so that no kind always hides another. */
export function drawFaults(random: SeededRandom): FaultSettings {
  const appetite = random.between(0.3, 0.7);
  const kinds = Object.keys(RANGES) as (keyof FaultSettings)[];
  const drawn = kinds.map((kind) => {
    const [mildest, worst] = RANGES[kind];
    const isOn = random.chance(appetite);
    const rate = random.between(mildest, worst);
    return [kind, isOn ? Number(rate.toPrecision(3)) : 0] as const;
  });
  return Object.fromEntries(drawn) as unknown as FaultSettings;
}

/** The faults of one story: they happen in its first phase, and then no more. */
export class FaultPlan {
  private healed = false;

  constructor(
    private readonly drawn: FaultSettings,
    private readonly random: SeededRandom,
  ) {}

  get now(): FaultSettings {
    return this.healed ? NO_FAULTS : this.drawn;
  }

  get drawnSettings(): FaultSettings {
    return this.drawn;
  }

  heal(): void {
    this.healed = true;
  }

  strikes(kind: keyof FaultSettings): boolean {
    const rate = this.now[kind];
    // Drawn also when the kind is off: what follows is the same story with one fault less.
    return this.random.fraction() < rate;
  }
}
