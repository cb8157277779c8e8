/** Where a run stands, as far as capacity is concerned. */
export type PermitState =
  /** Asks for an activation. */
  | 'waiting'
  /** A release for it is under way, or was answered and its fact has not been seen. */
  | 'granted'
  /** Refused for want of room: the refusal is on its way to the owner. */
  | 'refusing'
  /** Assigned to a worker. */
  | 'held'
  /** Suspended or paused: holds nothing, asks for nothing. */
  | 'idle';

export interface RunKey {
  readonly tenant: string;
  readonly runId: string;
}

/** One live run. Mutable: there may be a million, and the ledger alone changes them. */
export interface RunRecord extends RunKey {
  readonly pool: string;
  readonly name: string;
  /** Of the latest fact that was taken into account. */
  revision: number;
  state: PermitState;
  /** Since when it has waited, by the order of arrival: never reused. */
  ticket: number;
  sinceMs: number;
  workerId: string | undefined;
  sessionId: string | undefined;
  preferredWorkerId: string | undefined;
  /** A workflow, or an agent that was asked for with a certain build: each assignment pins it to one. */
  pins: boolean;
  /** The build that it waits for a worker of, or one that takes its runs over; undefined = any. */
  build: string | undefined;
  /** Of the fact that pinned it: what a late one says of the pin is no news. */
  buildRevision: number;
  /** False once it was assigned: only a run that never began may be refused. */
  fresh: boolean;
  /** The log has told of it; before, only the bus has. */
  confirmed: boolean;
}

export function recordKey({ tenant, runId }: RunKey): string {
  return `${tenant}.${runId}`;
}

export function poolKey({ tenant, pool }: { readonly tenant: string; readonly pool: string }): string {
  return `${tenant}.${pool}`;
}
