export interface OracleRun {
  readonly status: 'none' | 'queued' | 'placing' | 'active' | 'suspended' | 'paused' | 'ended';
  readonly epoch: number;
  /** How often it was rewound. */
  readonly branch: number;
  /** How it ended: the name of the outcome. */
  readonly outcome: string | undefined;
  /** Intended, and not ended yet; sorted. */
  readonly openCalls: readonly string[];
  /** Set, and neither fired nor cancelled; sorted. */
  readonly openTimers: readonly string[];
  /** Effects that were dispatched and whose end is not known: the call, and how it stands; sorted. */
  readonly executions: readonly string[];
  /** How far effects are that say so: the call, the attempt and what it said; sorted. */
  readonly heartbeats: readonly string[];
  /** Workflows: the build whose workers may go on with it; undefined = any. */
  readonly build: string | undefined;
  /** Effects that need an approval: the call, and how it stands; sorted. */
  readonly approvals: readonly string[];
  /** What is to be undone should the run not complete, or is yet to be undone; oldest first. */
  readonly toUndo: readonly string[];
  /** Agents: the newest turn of the conversation. */
  readonly turn: number;
  /** Names of the signals that nobody has read; in order. */
  readonly unread: readonly string[];
  /** Items of the journal that an activation would be given. */
  readonly journalLength: number;
  /** Calls whose result the code, or the conversation, has been given; in order. */
  readonly deliveredCalls: readonly string[];
  /** What its model calls used, and how many tools were asked for. */
  readonly spent: { readonly tokens: number; readonly costMicroUsd: number; readonly toolCalls: number };
}

/** What is noted of the facts read so far. */
export interface Notes {
  status: OracleRun['status'];
  isAgent: boolean;
  epoch: number;
  outcome: string | undefined;
  turn: number;
  build: string | undefined;
  intended: Set<string>;
  /** By timer: the call that it serves, and whether that call is a sleep. */
  timers: Map<string, { readonly call: string | undefined; readonly purpose: unknown }>;
  /** Waits that are open, by call: the name of the signal. */
  waits: Map<string, string>;
  branch: number;
  unread: string[];
  /** How what was dispatched stands, by call. */
  executions: Map<string, string>;
  /** What was said last, by call: in which attempt, and what. */
  heartbeats: Map<string, string>;
  /** How what needs an approval stands, by call. */
  approvals: Map<string, string>;
  /** Calls that workers of another pool execute: whoever holds the run is told of their end. */
  pooled: Set<string>;
  /** Calls whose end is told by a person, or by the owner: not by the worker that holds the run. */
  toldByOwner: Set<string>;
  /** Effects that something would undo. */
  undoable: Set<string>;
  /** Those of them that are confirmed, and what the code has registered; in order. */
  toUndo: string[];
  isEnding: boolean;
  /** Sleeps that are over, and what a person has told, that is not delivered: the call by the revision of the fact. */
  arrived: Map<number, string>;
  journalLength: number;
  delivered: string[];
  spent: { tokens: number; costMicroUsd: number; toolCalls: number };
}

export function nothingNoted(): Notes {
  return {
    status: 'none',
    isAgent: false,
    epoch: 0,
    outcome: undefined,
    turn: 0,
    build: undefined,
    intended: new Set(),
    timers: new Map(),
    waits: new Map(),
    branch: 0,
    unread: [],
    executions: new Map(),
    heartbeats: new Map(),
    approvals: new Map(),
    pooled: new Set(),
    toldByOwner: new Set(),
    undoable: new Set(),
    toUndo: [],
    isEnding: false,
    arrived: new Map(),
    journalLength: 0,
    delivered: [],
    spent: { tokens: 0, costMicroUsd: 0, toolCalls: 0 },
  };
}
