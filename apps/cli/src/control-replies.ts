/** What the gateway says of the past of runs, and of what was told to many; the words of its API. */

/** One use of a tool, as the log tells it. */
export interface EffectRecord {
  readonly call: string;
  readonly branch: number;
  readonly tool: string;
  readonly effectClass: string;
  readonly isUndoable: boolean;
  readonly status: 'open' | 'unknown' | 'confirmed' | 'failed';
}

export interface RunState {
  readonly runId: string;
  readonly kind: string;
  readonly name: string;
  readonly status: string;
  readonly revision: number;
  readonly epoch: number;
  readonly branch: number;
  readonly turn?: number;
  readonly input: unknown;
  readonly calls: readonly { readonly call: string; readonly kind: string; readonly name: string; readonly attempt?: number }[];
  readonly timers: readonly { readonly timerId: string; readonly purpose: string; readonly dueAtMs: number }[];
  readonly signals: readonly { readonly name: string; readonly payload: unknown }[];
  readonly journal: {
    readonly length: number;
    readonly from: number;
    readonly items: readonly Readonly<Record<string, unknown>>[];
  };
  readonly effects: readonly EffectRecord[];
  readonly effectsLeftOut: number;
  readonly outcome?: { readonly status: string };
}

export interface Forked {
  readonly runId: string;
  readonly source: { readonly runId: string; readonly revision?: number };
}

export interface Rewound {
  readonly runId: string;
  readonly to: number;
  readonly branch: number;
  readonly dryRun: boolean;
  readonly effects: readonly EffectRecord[];
}

export interface BulkReport {
  readonly id: string;
  readonly dryRun: boolean;
  readonly complete: boolean;
  readonly matched: number;
  readonly results: readonly {
    readonly runId: string;
    readonly name: string;
    readonly did: 'done' | 'refused' | 'not-tried';
    readonly code?: string;
    readonly message?: string;
  }[];
}
