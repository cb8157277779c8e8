import type { AppendResult, Bus, EventStore, FactBus, Position } from '@perdure/kernel';
import type { RunAddress, RunEvent } from '@perdure/run-contract';
import { BUILDS } from './builds';
import { branchMutants } from './mutants-branch';
import { childMutants } from './mutants-child';
import { scheduleMutants } from './mutants-schedule';
import { undoMutants, type Decide, type Decision } from './mutants-undo';
import type { Ports, Role } from './roles';
import type { Mutant, RoleName } from './story';

/**
 * Planted faults: each takes one defence away, in the simulated process only, by wrapping what it is given or by
 * replacing a method of what it has made. One that is not found is an invariant that nobody checks.
 */
type Json = Record<string, unknown>;
type GivePorts = NonNullable<Mutant['ports']>;
type Alter = NonNullable<Mutant['alter']>;

function store(change: (inner: EventStore, ports: Ports) => Partial<EventStore>): GivePorts {
  return (role, ports) => (role === 'orchestrator' ? { ...ports, store: wrap(ports.store, change(ports.store, ports)) } : ports);
}

function facts(change: (inner: FactBus) => Partial<FactBus>): GivePorts {
  return (role, ports) => (role === 'orchestrator' ? { ...ports, facts: wrap(ports.facts, change(ports.facts)) } : ports);
}

function workerBus(change: (inner: Bus, ports: Ports) => Partial<Bus>): GivePorts {
  return (role, ports) => (role === 'worker' ? { ...ports, bus: wrap(ports.bus, change(ports.bus, ports)) } : ports);
}

function wrap<T extends object>(inner: T, change: Partial<T>): T {
  return new Proxy(inner, {
    get: (target, name) => {
      const replaced = Reflect.get(change, name) as unknown;
      if (replaced !== undefined) return replaced;
      const value = Reflect.get(target, name) as unknown;
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

/** Replaces methods of what an object holds inside. */
function patch(owner: unknown, path: readonly string[], methods: (original: Json) => Json): void {
  const target = path.reduce<Json>((inner, name) => inner[name] as Json, owner as Json);
  Object.assign(target, methods(target));
}

function deciding(change: (decide: Decide) => Decide): Alter {
  return (role, made) => {
    if (role !== 'orchestrator') return;
    patch(made.owner, ['runs', 'actorPorts'], (ports) => {
      const deciderOf = ports['deciderOf'] as (address: RunAddress) => { readonly decide: Decide };
      return { deciderOf: (address: RunAddress) => ({ decide: change(deciderOf(address).decide) }) };
    });
  };
}

function withoutEvents(decision: Decision, isDropped: (event: RunEvent) => boolean): Decision {
  return 'accepted' in decision ? { accepted: decision.accepted.filter((event) => !isDropped(event)) } : decision;
}

function onlyIn(wanted: RoleName, alter: (made: Role) => void): Alter {
  return (role, made) => {
    if (role === wanted) alter(made);
  };
}

const isRun = (stream: string): boolean => stream.startsWith('run-');
const FAR: Position = { commit: '0', prepare: '0' };

const answersEarly = store((inner) => ({
  append: (stream, expected, events) => {
    const appending = inner.append(stream, expected, events);
    if (!isRun(stream)) return appending;
    appending.catch(() => undefined);
    const revision = (typeof expected === 'number' ? expected : -1) + events.length;
    return Promise.resolve<AppendResult>({ outcome: 'appended', revision, position: FAR });
  },
}));

const resendsUnderNewIds = store((inner, { process }) => {
  const tried = new Set<string>();
  return {
    append: (stream, expected, events) => {
      const key = `${stream} ${String(expected)} ${events[0]?.id}`;
      const isRepeat = tried.has(key);
      tried.add(key);
      if (!isRun(stream) || !isRepeat) return inner.append(stream, expected, events);
      return inner.append(
        stream,
        'any',
        events.map((event) => ({ ...event, id: process.entropy.uuid() })),
      );
    },
  };
});

const appendsAnywhere = store((inner) => ({
  append: (stream, expected, events) => inner.append(stream, isRun(stream) ? 'any' : expected, events),
}));

const SKIPPED_EVERY = 7;
const followerSkips: GivePorts = (_role, ports) => {
  const { store: inner } = ports;
  let seen = 0;
  const followAll: EventStore['followAll'] = (options) =>
    inner.followAll({
      ...options,
      onEvent: (event) => {
        seen += 1;
        return seen % SKIPPED_EVERY === 0 ? undefined : options.onEvent(event);
      },
    });
  return { ...ports, store: wrap(inner, { followAll }) };
};

const acceptsOldEpochs = deciding((decide) => (given, state) => {
  const { command } = given;
  if (command.type !== 'RecordProgress' || state.status !== 'active' || command.epoch >= state.epoch) return decide(given, state);
  const decision = decide({ ...given, command: { ...command, epoch: state.epoch, seq: state.lastSeq + 1 } }, state);
  if (!('accepted' in decision)) return decision;
  return { accepted: decision.accepted.map((event) => ({ ...event, report: { epoch: command.epoch, seq: command.seq } })) };
});

const forgetsReports = deciding((decide) => (given, state) => {
  const { command } = given;
  if (command.type !== 'RecordProgress' || state.status !== 'active' || command.epoch !== state.epoch)
    return decide(given, state);
  if (command.seq > state.lastSeq) return decide(given, state);
  return decide({ ...given, command: { ...command, seq: state.lastSeq + 1 } }, state);
});

const CLOCK_AHEAD_MS = 1_500;
const firesEarly: Alter = (role, made) => {
  deciding(
    (decide) => (given, state) =>
      decide(
        given.command.type === 'FireTimer' ? { ...given, at: { ...given.at, nowMs: given.at.nowMs + CLOCK_AHEAD_MS } } : given,
        state,
      ),
  )(role, made);
  if (role !== 'timers') return;
  const { process } = made;
  const clock = { nowMs: () => process.clock.nowMs() + CLOCK_AHEAD_MS, monotonicMs: () => process.clock.monotonicMs() };
  patch(made.timers, ['ports'], () => ({ host: wrap(process, { clock } as Partial<typeof process>) }));
};

function reports(payload: string): readonly { readonly type: string }[] {
  const { command } = JSON.parse(payload) as { command?: { type: string; entries?: readonly { type: string }[] } };
  return command?.type === 'RecordProgress' ? (command.entries ?? []) : [];
}

const dropsResults = workerBus((inner) => ({
  request: (subject, payload, options) => {
    const entries = reports(payload);
    if (!entries.some(({ type }) => type === 'effect-intended')) return inner.request(subject, payload, options);
    const envelope = JSON.parse(payload) as { command: Json };
    const left = entries.filter(({ type }) => type !== 'step');
    return inner.request(subject, JSON.stringify({ ...envelope, command: { ...envelope.command, entries: left } }), options);
  },
}));

const dropsVersions = workerBus((inner) => ({
  request: (subject, payload, options) => {
    const entries = reports(payload) as readonly { readonly type: string; readonly name?: string }[];
    const left = entries.filter(({ name }) => name?.startsWith('version ') !== true);
    if (left.length === 0 || left.length === entries.length) return inner.request(subject, payload, options);
    const envelope = JSON.parse(payload) as { command: Json };
    return inner.request(subject, JSON.stringify({ ...envelope, command: { ...envelope.command, entries: left } }), options);
  },
}));

const doesNotWaitForIntentions = workerBus((inner) => ({
  request: (subject, payload, options) => {
    const entries = reports(payload);
    const sending = inner.request(subject, payload, options);
    const intended = entries.filter(({ type }) => type === 'effect-intended') as readonly Json[];
    if (intended.length === 0) return sending;
    sending.catch(() => undefined);
    const { seq } = (JSON.parse(payload) as { command: { seq: number } }).command;
    const instructions = intended.map(({ call, tool, args }) => ({ do: 'run-tool', call, tool, args, attempt: 1 }));
    const value = { seq, revision: 0, instructions, inbound: [], cancelRequested: false, ended: false };
    return Promise.resolve(JSON.stringify({ ok: true, value }));
  },
}));

const beginsUnasked = workerBus((inner) => ({
  request: (subject, payload, options) => {
    const claims = reports(payload).filter(({ type }) => type === 'effect-claimed');
    const sending = inner.request(subject, payload, options);
    if (claims.length === 0) return sending;
    sending.catch(() => undefined);
    const { seq } = (JSON.parse(payload) as { command: { seq: number } }).command;
    const mayBegin = claims.map((claim) => ({ ...claim, startWithinMs: 60_000 }));
    const value = { seq, revision: 0, instructions: [], inbound: [], cancelRequested: false, ended: false, mayBegin };
    return Promise.resolve(JSON.stringify({ ok: true, value }));
  },
}));

/** As if it had certainly not begun. */
const runsUnknownAgain = deciding((decide) => (given, state) => {
  const isMeant = (event: RunEvent): boolean =>
    event.type === 'EffectQuestioned' || (event.type === 'TimerSet' && event.data.purpose === 'probe');
  const decision = withoutEvents(decide(given, state), isMeant);
  if (!('accepted' in decision)) return decision;
  const accepted = decision.accepted.map((event): RunEvent => {
    if (event.type !== 'EffectUnknown') return event;
    const { call, attempt, executionId } = event.data;
    return { ...event, type: 'EffectNotStarted', data: { call, attempt, executionId, reason: 'too-late' } };
  });
  return { accepted };
});

const replaysBackwards = workerBus((inner) => ({
  subscribe: (subject, handler, options) =>
    inner.subscribe(
      subject,
      (message) => {
        const order = JSON.parse(message.payload) as { journal?: readonly { type: string }[] };
        const payload =
          order.journal === undefined ? message.payload : JSON.stringify({ ...order, journal: [...order.journal].reverse() });
        handler({ ...message, payload });
      },
      options,
    ),
}));

const changesKeys = onlyIn('worker', ({ process, engine }) => {
  const tools = engine?.['tools'] as unknown as Map<
    string,
    { execute: (input: unknown, scope: { idempotencyKey: string }) => unknown }
  >;
  for (const [name, tool] of tools) {
    const execute = (input: unknown, scope: { idempotencyKey: string }): unknown =>
      tool.execute(input, { ...scope, idempotencyKey: `${scope.idempotencyKey}/${process.incarnation}` });
    tools.set(name, { ...tool, execute });
  }
});

const leaksPermits = onlyIn('admission', ({ admission }) => {
  patch(admission, [], (original) => {
    const learn = (original['learn'] as (...given: unknown[]) => void).bind(admission);
    return {
      learn: (fact: { change: { type: string } }, ...rest: unknown[]) =>
        fact.change.type === 'ended' ? undefined : learn(fact, ...rest),
    };
  });
});

const givesAnyBuild: Alter = (role, made) => {
  deciding((decide) => (given, state) => decide({ ...given, code: { ...given.code, compatibleWith: [...BUILDS] } }, state))(
    role,
    made,
  );
  if (role !== 'admission') return;
  patch(made.admission, ['workers'], (workers) => {
    const pick = (workers['pick'] as (record: object, nowMs: number) => unknown).bind(workers);
    return { pick: (record: object, nowMs: number) => pick({ ...record, build: undefined }, nowMs) };
  });
};

function asks(payload: string, type: string): boolean {
  return (JSON.parse(payload) as { command?: { type: string } }).command?.type === type;
}

const executesUnasked: GivePorts = (role, ports) => {
  if (role !== 'teller') return ports;
  const request: Bus['request'] = (subject, payload, options) => {
    const sending = ports.bus.request(subject, payload, options);
    if (!asks(payload, 'ClaimEffect')) return sending;
    sending.catch(() => undefined);
    const { command } = JSON.parse(payload) as { command: Json };
    return Promise.resolve(JSON.stringify({ ok: true, value: { mayBegin: [{ ...command, startWithinMs: 60_000 }] } }));
  };
  return { ...ports, bus: wrap(ports.bus, { request }) };
};

/** As if its class allowed it. */
const executesLostAgain = deciding((decide) => (given, state) => {
  const decision = decide(given, state);
  if (given.command.type !== 'LoseExecution' || !('accepted' in decision)) return decision;
  const [unknown] = decision.accepted;
  if (unknown?.type !== 'EffectUnknown') return decision;
  const { call, attempt, executionId } = unknown.data;
  return { accepted: [{ type: 'EffectLost', data: { call, attempt, executionId, workerId: 'whoever', losses: 1 } }] };
});

const neverMissesExecutors = onlyIn('orchestrator', ({ owner }) =>
  patch(owner, ['caretaker'], () => ({ loseExecution: () => Promise.resolve() })),
);

/** As if every policy asked for one person. */
const countsOneAsEnough = deciding((decide) => (given, state) => {
  const decision = decide(given, state);
  if (!('accepted' in decision) || decision.accepted.some(({ type }) => type === 'ApprovalGranted')) return decision;
  const accepted = decision.accepted.flatMap((event): readonly RunEvent[] => {
    if (event.type !== 'ApprovalVoted') return [event];
    const { call, vote } = event.data;
    const { argsHash, approver, expiresAtMs } = vote.statement;
    const granted = { call, grantId: vote.statement.id, argsHash, approvers: [approver], expiresAtMs };
    return [event, { type: 'ApprovalGranted', data: granted }];
  });
  return { accepted };
});

const asksForNoApproval = deciding(
  (decide) => (given, state) => decide({ ...given, code: { ...given.code, approvalOf: () => undefined } }, state),
);

const believesUnsignedVotes = onlyIn('orchestrator', ({ owner }) =>
  patch(owner, ['desk', 'ports'], () => ({ signatures: { verify: () => true } })),
);

export const MUTANTS: readonly Mutant[] = [
  { name: 'answers before the append is acknowledged', ports: answersEarly },
  { name: 'sends an ambiguous append again under new ids', ports: resendsUnderNewIds },
  { name: 'appends without expecting a revision', ports: appendsAnywhere },
  { name: 'accepts reports of epochs that have ended', alter: acceptsOldEpochs },
  { name: 'does not recognise a repeated report', alter: forgetsReports },
  {
    name: 'answers from a state that another owner has passed',
    alter: onlyIn('orchestrator', ({ owner }) =>
      patch(owner, ['runs', 'actorPorts', 'log'], () => ({ isHead: () => Promise.resolve(true) })),
    ),
  },
  {
    name: 'believes a failed confirmation',
    ports: facts((inner) => ({ confirm: () => inner.confirm().catch(() => undefined) })),
  },
  {
    name: 'publishes nothing again at a take-over',
    alter: onlyIn('orchestrator', ({ owner }) => patch(owner, ['publisher'], () => ({ takeOver: () => Promise.resolve() }))),
  },
  {
    name: 'never judges a worker dead',
    alter: onlyIn('orchestrator', ({ owner }) =>
      patch(owner, ['caretaker'], () => ({ loseActivation: () => Promise.resolve() })),
    ),
  },
  { name: 'fires timers before they are due', alter: firesEarly },
  {
    name: 'forgets to wake a run',
    alter: deciding((decide) => (given, state) => withoutEvents(decide(given, state), ({ type }) => type === 'RunWoken')),
  },
  {
    name: 'forgets the next attempt',
    alter: deciding(
      (decide) => (given, state) =>
        withoutEvents(decide(given, state), ({ type, data }) => type === 'TimerSet' && data.purpose === 'retry'),
    ),
  },
  ...undoMutants({ deciding, withoutEvents }),
  ...branchMutants({ deciding, wrap }),
  ...childMutants({ deciding }),
  ...scheduleMutants({ patch }),
  {
    name: 'lets a model go on that asks for nothing that exists',
    alter: deciding((decide) => (given, state) => {
      if (!('guard' in state)) return decide(given, state);
      return decide(given, { ...state, guard: { ...state.guard, mistakenTurns: 0 } });
    }),
  },
  { name: 'loses facts that its follower should see', ports: followerSkips },
  { name: 'never gives permits back', alter: leaksPermits },
  { name: 'runs tools before their intention is recorded', ports: doesNotWaitForIntentions },
  { name: 'does not record results before an effect', ports: dropsResults },
  { name: 'replays results in another order', ports: replaysBackwards },
  { name: 'begins what must not be doubled without waiting for the answer', ports: beginsUnasked },
  { name: 'runs again what nobody knows of', alter: runsUnknownAgain },
  { name: 'executes what it is offered without waiting for the answer', ports: executesUnasked },
  { name: 'executes again what a lost worker may have executed', alter: executesLostAgain },
  { name: 'never judges the executor of an effect dead', alter: neverMissesExecutors },
  { name: 'gives a tool another key after a crash', alter: changesKeys },
  { name: 'asks nobody to approve', alter: asksForNoApproval },
  { name: 'counts one vote as enough', alter: countsOneAsEnough },
  { name: 'believes votes that the signer has not signed', alter: believesUnsignedVotes },
  { name: 'does not record which way changed code went', ports: dropsVersions },
  { name: 'gives a workflow to whatever build has room', alter: givesAnyBuild },
  {
    name: 'forgets that a run was pinned anew',
    alter: deciding((decide) => (given, state) => withoutEvents(decide(given, state), ({ type }) => type === 'RunRepinned')),
  },
  {
    name: 'takes a repeated signal for another',
    alter: deciding((decide) => (given, state) => {
      if (given.command.type !== 'SignalRun' || !('commands' in state)) return decide(given, state);
      return decide(given, { ...state, commands: [] });
    }),
  },
  {
    name: 'forgets a signal that nobody waits for yet',
    alter: deciding((decide) => (given, state) => {
      const waits = 'calls' in state && [...state.calls.values()].some(({ kind }) => kind === 'wait');
      return withoutEvents(decide(given, state), ({ type }) => type === 'SignalReceived' && !waits);
    }),
  },
];
