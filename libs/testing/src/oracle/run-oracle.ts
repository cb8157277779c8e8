import { nothingNoted, type Notes, type OracleRun } from './notes';

/**
 * A second opinion on what a run's facts say, for I2: written from the design and the shapes of the stored events, not
 * from the decider's code, which it must never import. It looks at plain JSON as the log holds it.
 *
 * It knows less than the real fold on purpose: what it knows is what a user could see go wrong.
 */
export interface StoredRunEvent {
  readonly type: string;
  readonly data: unknown;
}

type Data = Readonly<Record<string, unknown>>;
type Rule = (notes: Notes, data: Data, revision: number) => void;

const ends =
  (outcome: string): Rule =>
  (notes) => {
    notes.status = 'ended';
    notes.outcome = outcome;
  };

const becomes =
  (status: OracleRun['status']): Rule =>
  (notes) => {
    notes.status = status;
  };

/** The ledger of what is to be undone outlasts a rewind, and the names of calls come again. */
function ledgerName({ branch }: Notes, { call }: Data): string {
  return branch === 0 ? String(call) : `b${branch}-${String(call)}`;
}

/** A call's result becomes known to the code at once; where the code waits for it, that it was made is told apart. */
function give(notes: Notes, call: string): void {
  notes.journalLength += 1;
  notes.delivered.push(call);
}

function begin(notes: Notes, call: string): void {
  notes.intended.add(call);
  if (!notes.isAgent) notes.journalLength += 1;
}

/** A failure with a date goes on; one without is an end. The end of a model call is an agent's own affair. */
const fails =
  (kind: 'tool' | 'model'): Rule =>
  (notes, data, revision) => {
    if (kind === 'tool' && data['exhausted'] !== undefined) notes.toldByOwner.add(String(data['call']));
    if (kind === 'tool' && data['retryAtMs'] !== undefined) notes.executions.delete(String(data['call']));
    if (data['retryAtMs'] !== undefined) return;
    if (kind === 'tool' || !notes.isAgent) succeeds(notes, data, revision);
    else notes.intended.delete(String(data['call']));
  };

/** What a person has told reaches the code of a workflow as a sleep does: when it has come to rest. */
const succeeds: Rule = (notes, data, revision) => {
  const call = String(data['call']);
  notes.intended.delete(call);
  notes.executions.delete(call);
  notes.approvals.delete(call);
  if (notes.isEnding) return;
  const isTold = [notes.toldByOwner.delete(call), notes.pooled.delete(call)].includes(true);
  if (isTold && !notes.isAgent) notes.arrived.set(revision, call);
  else give(notes, call);
};

const says: Rule = ({ heartbeats }, data) =>
  void heartbeats.set(String(data['call']), `${String(data['attempt'])} ${JSON.stringify(data['detail'])}`);

const stands =
  (how: string): Rule =>
  (notes, data) =>
    void notes.executions.set(String(data['call']), how);

const isOver: Rule = (notes, data) => void notes.executions.delete(String(data['call']));

const reconciled: Rule = (notes, data, revision) => {
  const call = String(data['call']);
  // While a run ends, what did not happen is not tried again, unless it undoes something.
  if (data['verdict'] === 'absent' && notes.isEnding && notes.undoable.has(call)) {
    notes.intended.delete(call);
    notes.approvals.delete(call);
  }
  if (data['verdict'] === 'absent') return isOver(notes, data, revision);
  notes.executions.set(String(data['call']), 'answered');
  if (data['by'] !== 'probe') notes.toldByOwner.add(String(data['call']));
};

const isUndone: Rule = (notes, data) => {
  notes.toUndo = notes.toUndo.filter((call) => call !== data['call']);
};

const approval =
  (how: string): Rule =>
  (notes, data) =>
    void notes.approvals.set(String(data['call']), how);

/** Its failure follows, and nobody at the worker has made it. */
const notApproved: Rule = (notes, data, revision) => {
  approval('refused')(notes, data, revision);
  notes.toldByOwner.add(String(data['call']));
};

const answeredByAnother: Rule = (notes, data, revision) => {
  notes.intended.delete(String(data['call']));
  notes.arrived.set(revision, String(data['call']));
};

/** A model is told at once, as of a tool. */
const answeredByPerson: Rule = (notes, data, revision) => {
  answeredByAnother(notes, data, revision);
  if (notes.isAgent) give(notes, String(data['call']));
};

const RULES: Readonly<Record<string, Rule>> = {
  RunRequested: (notes, data) => {
    notes.status = 'queued';
    notes.isAgent = data['kind'] === 'agent';
  },
  RunAssigned: (notes, data) => {
    notes.status = 'active';
    notes.epoch = Number(data['epoch']);
    if (!notes.isAgent) notes.build = String(data['buildId']);
  },
  ActivationLost: becomes('placing'),
  RunQuarantined: becomes('paused'),
  CodeDiverged: (notes) => {
    notes.status = 'paused';
    notes.build = undefined;
  },
  RunSuspended: becomes('suspended'),
  RunWoken: becomes('queued'),
  RunResumed: (notes) => {
    // A pause that was only asked for is taken back: the run is where it was.
    if (notes.status === 'paused') notes.status = 'queued';
  },
  RunRepinned: (notes, data) => {
    notes.build = String(data['buildId']);
  },
  RunCancelRequested: () => undefined,
  UndoRegistered: (notes, data) => {
    notes.toUndo.push(ledgerName(notes, data));
    give(notes, String(data['call']));
  },
  RunEnding: (notes) => {
    notes.status = 'suspended';
    notes.isEnding = true;
    // What may have happened and can be undone is still found out; nothing else is waited for.
    for (const call of notes.intended)
      if (!notes.undoable.has(call) || [undefined, 'dead-letter'].includes(notes.executions.get(call))) {
        notes.approvals.delete(call);
        notes.intended.delete(call);
        notes.executions.delete(call);
      }
    notes.arrived.clear();
    notes.waits.clear();
    notes.unread = [];
  },
  EffectCompensated: isUndone,
  EffectNotCompensated: isUndone,
  RunPauseRequested: () => undefined,
  RunPaused: becomes('paused'),
  LimitReached: () => undefined,
  LoopSuspected: () => undefined,
  ModelCallIntended: (notes, data) => {
    const shown = (data['signals'] ?? []) as readonly unknown[];
    begin(notes, String(data['call']));
    notes.unread.splice(0, shown.length);
    for (let index = 0; index < shown.length; index += 1) give(notes, String(data['call']));
    if (notes.isAgent) notes.turn = Number(data['turn']);
  },
  ModelCallCompleted: (notes, data, revision) => {
    const { usage, cost } = data['decision'] as { readonly usage: Readonly<Record<string, number>>; readonly cost?: Data };
    notes.spent.tokens += (usage['inputTokens'] ?? 0) + (usage['outputTokens'] ?? 0);
    notes.spent.costMicroUsd += Number(cost?.['microUsd'] ?? 0);
    succeeds(notes, data, revision);
  },
  ModelCallFailed: fails('model'),
  EffectIntended: (notes, data) => {
    const call = String(data['call']);
    if (data['undoes'] !== undefined) return void notes.intended.add(call);
    if (data['compensation'] !== undefined) notes.undoable.add(call);
    begin(notes, call);
    if (data['pool'] !== undefined) notes.pooled.add(call);
    notes.spent.toolCalls += 1;
  },
  EffectDispatched: stands('under-way'),
  EffectLost: isOver,
  EffectNotStarted: (notes, data, revision) => {
    // A claim that came too late changes nothing of what waits for a person.
    if (notes.executions.get(String(data['call'])) !== 'dead-letter') isOver(notes, data, revision);
  },
  EffectProgressed: says,
  EffectUnknown: stands('unknown'),
  EffectProbed: stands('unknown'),
  EffectQuestioned: stands('in-question'),
  EffectReconciled: reconciled,
  ApprovalRequested: approval('waiting'),
  ApprovalVoted: () => undefined,
  ApprovalGranted: approval('granted'),
  ApprovalDenied: notApproved,
  ApprovalExpired: notApproved,
  ApprovalEscalated: () => undefined,
  ApprovalRefused: () => undefined,
  EffectConfirmed: (notes, data, revision) => {
    if (notes.undoable.has(String(data['call']))) notes.toUndo.push(ledgerName(notes, data));
    succeeds(notes, data, revision);
  },
  EffectDeadLettered: stands('dead-letter'),
  EffectRedriven: isOver,
  EffectGivenUp: () => undefined,
  EffectFailed: fails('tool'),
  StepsRecorded: (notes, data) => {
    for (const entry of data['entries'] as readonly Data[]) recordEntry(notes, entry);
  },
  TimerSet: (notes, data) => {
    const isSleep = data['purpose'] === 'sleep';
    const call = data['call'] === undefined ? undefined : String(data['call']);
    notes.timers.set(String(data['timerId']), { call, purpose: data['purpose'] });
    if (isSleep && call !== undefined) begin(notes, call);
  },
  TimerFired: (notes, data, revision) => {
    const timer = notes.timers.get(String(data['timerId']));
    notes.timers.delete(String(data['timerId']));
    if (timer?.purpose === 'probe') notes.executions.set(timer.call ?? '', 'probe-due');
    const isWaitedFor = timer?.purpose === 'sleep' || timer?.purpose === 'wait';
    if (!isWaitedFor || timer.call === undefined) return;
    notes.intended.delete(timer.call);
    notes.waits.delete(timer.call);
    notes.arrived.set(revision, timer.call);
  },
  TimerCancelled: (notes, data) => {
    const timer = notes.timers.get(String(data['timerId']));
    notes.timers.delete(String(data['timerId']));
    if (timer !== undefined && timer.purpose !== 'sleep') return;
    const call = timer?.call ?? String(data['timerId']).replace(/^b\d+-/, '');
    notes.intended.delete(call);
    for (const [revision, waiting] of notes.arrived) if (waiting === call) notes.arrived.delete(revision);
  },
  RunForked: (notes, data) => carry(notes, data['carried'] as Data),
  RunRewound: (notes, data) => {
    beginBranch(notes, data);
    carry(notes, data['carried'] as Data);
  },
  RunContinued: (notes, data) => {
    beginBranch(notes, data);
    notes.toUndo = [];
    notes.journalLength = 0;
    notes.delivered = [];
  },
  SignalAwaited: (notes, data, revision) => {
    const [call, name] = [String(data['call']), String(data['name'])];
    begin(notes, call);
    const unread = notes.unread.indexOf(name);
    if (unread < 0) return void notes.waits.set(call, name);
    notes.unread.splice(unread, 1);
    notes.intended.delete(call);
    notes.arrived.set(revision, call);
  },
  SignalReceived: (notes, data, revision) => {
    const name = String(data['name']);
    const [call] = [...notes.waits].find(([, waitedFor]) => waitedFor === name) ?? [];
    if (call === undefined) return void notes.unread.push(name);
    notes.waits.delete(call);
    notes.intended.delete(call);
    notes.arrived.set(revision, call);
  },
  TaskAsked: (notes, data) => {
    if (data['asTool'] === undefined) begin(notes, String(data['call']));
    else notes.intended.add(String(data['call']));
  },
  TaskAnswered: answeredByPerson,
  TaskExpired: answeredByPerson,
  TaskDelegated: () => undefined,
  TaskReminded: () => undefined,
  TaskEscalated: () => undefined,
  MessageSent: (notes, data) => begin(notes, String(data['call'])),
  MessageDelivered: answeredByAnother,
  MessageRefused: answeredByAnother,
  ChildRequested: (notes, data) => begin(notes, String(data['call'])),
  ChildStarted: answeredByAnother,
  ChildEnded: answeredByAnother,
  RunRefused: ends('refused'),
  RunCompleted: ends('completed'),
  RunFailed: ends('failed'),
  RunCancelled: ends('cancelled'),
  RunTimedOut: ends('timed-out'),
  RunTerminated: ends('terminated'),
};

/** Whatever was said of a call that is not open any more does not matter. */
function heartbeatsIn({ heartbeats, intended }: Notes): readonly string[] {
  return [...heartbeats].flatMap(([call, said]) => (intended.has(call) ? [`${call} ${said}`] : [])).sort();
}

/** Nothing of before is open any more. */
function beginBranch(notes: Notes, data: Data): void {
  if (Number(data['branch']) !== notes.branch + 1) throw new Error(`Branch ${data['branch']} follows branch ${notes.branch}.`);
  notes.branch = Number(data['branch']);
  notes.intended.clear();
  notes.executions.clear();
  notes.heartbeats.clear();
  notes.toldByOwner.clear();
  notes.approvals.clear();
  notes.undoable.clear();
  notes.pooled.clear();
  notes.arrived.clear();
  notes.waits.clear();
  for (const [timerId, { purpose }] of notes.timers) if (purpose !== 'deadline') notes.timers.delete(timerId);
}

/** What a fork or a rewind begins with. */
function carry(notes: Notes, carried: Data): void {
  const journal = carried['journal'] as readonly Data[];
  notes.turn = Number(carried['turn']);
  notes.journalLength = journal.length;
  notes.delivered = journal.flatMap(({ type, call }) => (type === 'made' ? [] : [String(call)]));
  notes.unread = (carried['signals'] as readonly Data[]).map(({ name }) => String(name));
}

function recordEntry(notes: Notes, entry: Data): void {
  if (entry['type'] !== 'delivered') return give(notes, String(entry['call']));
  const call = notes.arrived.get(Number(entry['revision']));
  if (call === undefined) throw new Error(`Delivered what has not come: ${JSON.stringify(entry)}`);
  notes.arrived.delete(Number(entry['revision']));
  give(notes, call);
}

/**
 * What the facts of one run, from its first, say about it.
 * @throws Error at a type that it does not know, at a fact after the end, at an epoch that does not rise
 */
export function oracleOf(events: readonly StoredRunEvent[]): OracleRun {
  const notes = nothingNoted();
  events.forEach((event, revision) => {
    const rule = RULES[event.type];
    const data = event.data as Data;
    if (rule === undefined) throw new Error(`The oracle does not know ${event.type}.`);
    if (notes.status === 'ended') throw new Error(`${event.type} at revision ${revision} follows the end.`);
    if ((notes.status === 'none') !== (event.type === 'RunRequested')) throw new Error(`${event.type} at revision ${revision}.`);
    if (event.type === 'RunAssigned' && Number(data['epoch']) <= notes.epoch) throw new Error(`Epoch ${data['epoch']} again.`);
    rule(notes, data, revision);
  });
  const { status, epoch, branch, outcome, turn, journalLength } = notes;
  const ended = status === 'ended';
  return {
    status,
    epoch,
    branch,
    outcome,
    turn,
    journalLength,
    build: ended ? undefined : notes.build,
    // Nothing is open that nobody will ever close.
    openCalls: ended ? [] : [...notes.intended].sort(),
    openTimers: ended ? [] : [...notes.timers.keys()].sort(),
    unread: ended ? [] : notes.unread,
    toUndo: ended ? [] : notes.toUndo,
    heartbeats: ended ? [] : heartbeatsIn(notes),
    executions: ended ? [] : [...notes.executions].map(([call, how]) => `${call} ${how}`).sort(),
    approvals: ended ? [] : [...notes.approvals].map(([call, how]) => `${call} ${how}`).sort(),
    deliveredCalls: notes.delivered,
    spent: notes.spent,
  };
}
