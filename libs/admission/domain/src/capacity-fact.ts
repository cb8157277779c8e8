/** What a fact of a run means for capacity; everything else in it is of no interest here. */
export type CapacityChange =
  | { readonly type: 'requested'; readonly pool: string; readonly name: string; readonly pins: boolean; readonly atMs: number }
  | { readonly type: 'asked-again'; readonly preferredWorkerId: string | undefined }
  | { readonly type: 'assigned'; readonly workerId: string; readonly sessionId: string; readonly buildId: string }
  /** The activation is over and the permit is not: the owner places it anew. */
  | { readonly type: 'unplaced' }
  /** `unpins`: any build may go on with it. */
  | { readonly type: 'let-go'; readonly unpins?: true }
  /** Says nothing about where the run stands. */
  | { readonly type: 'repinned'; readonly buildId: string }
  | { readonly type: 'ended' };

export interface CapacityFact {
  readonly tenant: string;
  readonly runId: string;
  readonly revision: number;
  readonly change: CapacityChange;
}
