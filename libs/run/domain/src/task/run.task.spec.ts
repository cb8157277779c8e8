import { ASK_NAME } from '@perdure/kernel';
import type { ProgressEntry, RunEvent, RunEventOf, TaskAskedEntry } from '@perdure/run-contract';
import {
  agentManifest,
  assigned,
  commandIdAt,
  deciderSpec,
  decision,
  fact,
  knownCode,
  reported,
  requested,
  specIdentities,
  START_MS,
  toolManifest,
  workflowManifest,
} from '@perdure/testing';
import type { AnswerTask, DomainCommand } from '../run.commands';
import { runDecider } from '../run.decider';
import { evolve } from '../run.evolve';
import { tailItems } from '../run.journal';
import { isOpen, noRun, type OpenRun } from '../run.state';
import { viewOf } from '../run.view';

const given = deciderSpec(runDecider(specIdentities));
const MINUTE = 60_000;
const FORM = { type: 'object' };
const ENTRY: TaskAskedEntry = {
  type: 'task-asked',
  call: '1',
  title: 'Is it right?',
  form: FORM,
  assignee: 'user:mia',
  dueMs: MINUTE,
  remindMs: [MINUTE],
  escalate: [{ afterMs: 2 * MINUTE, to: 'role:head' }],
  expires: { afterMs: 3 * MINUTE, action: 'fail' },
};

function at(command: DomainCommand, n = 7, nowMs = START_MS) {
  const commandId = commandIdAt(START_MS, n);
  return { command, at: { nowMs, commandId, fraction: 0.5 }, code: knownCode(workflowManifest()) };
}
function report(seq: number, ...entries: readonly ProgressEntry[]) {
  return at({ type: 'RecordProgress', epoch: 1, seq, entries: [...entries] });
}
type Asked = RunEventOf<'TaskAsked'>['data'];
const asked = (data: Partial<Asked> = {}): RunEvent =>
  fact('TaskAsked', {
    call: '1',
    name: 'invoice',
    title: 'Is it right?',
    form: FORM,
    assignee: 'user:mia',
    askedAtMs: START_MS,
    dueAtMs: START_MS + MINUTE,
    remindAtMs: [START_MS + MINUTE],
    escalate: [{ atMs: START_MS + 2 * MINUTE, to: 'role:head' }],
    expires: { atMs: START_MS + 3 * MINUTE, action: 'fail' },
    ...data,
  });
const timer = (id: string, purpose: RunEventOf<'TimerSet'>['data']['purpose'], minutes: number) =>
  fact('TimerSet', { timerId: `task-1-${id}`, purpose, call: '1', dueAtMs: START_MS + minutes * MINUTE });
const TIMERS = [timer('r1', 'task-reminder', 1), timer('e1', 'task-escalation', 2), timer('expiry', 'task-expiry', 3)];
const fired = (id: string, minutes: number) =>
  fact('TimerFired', { timerId: `task-1-${id}`, dueAtMs: START_MS + minutes * MINUTE });
const cancelled = (id: string) => fact('TimerCancelled', { timerId: `task-1-${id}` });
const ALL_CANCELLED = ['r1', 'e1', 'expiry'].map(cancelled);
const SUSPENDED = fact('RunSuspended', { epoch: 1 });
const WOKEN = fact('RunWoken', { preferredWorkerId: 'worker-1' });
/** The fact that asks has revision 2. */
const waiting = [requested(), assigned(), asked(), ...TIMERS, SUSPENDED];
const ANSWER = { right: true };
const answer = (how: Partial<AnswerTask> = {}, n = 7) =>
  at({ type: 'AnswerTask', call: '1', answer: ANSWER, by: 'mia', roles: [], checked: { asked: 2, issues: [] }, ...how }, n);
const answered = (data: Partial<RunEventOf<'TaskAnswered'>['data']> = {}) =>
  fact('TaskAnswered', {
    call: '1',
    by: 'mia',
    answer: ANSWER,
    answerHash: JSON.stringify(ANSWER),
    commandId: commandIdAt(START_MS, 7),
    ...data,
  });
const delegate = (by = 'mia', roles: readonly string[] = []) =>
  at({ type: 'DelegateTask', call: '1', to: 'user:leo', by, roles });
const delegated = fact('TaskDelegated', { call: '1', to: 'user:leo', by: 'mia', commandId: commandIdAt(START_MS, 7) });
const escalated = fact('TaskEscalated', { call: '1', title: 'Is it right?', to: 'role:head' });
const fire = (id: string, minutes: number) => at({ type: 'FireTimer', timerId: `task-1-${id}` }, 9, START_MS + minutes * MINUTE);

function stateOf(...facts: readonly RunEvent[]): OpenRun {
  const state = facts.reduce(evolve, noRun as ReturnType<typeof evolve>);
  if (!isOpen(state)) throw new Error('it has ended');
  return state;
}

describe('a question', () => {
  it('is asked with the timers that keep what it says', () => {
    given(requested(), assigned())
      .when(report(1, ENTRY))
      .then(...[asked(), ...TIMERS].map((event) => reported(1, 1, event)));
  });

  it('is named with who is awaited, since when', () => {
    const view = viewOf({ tenant: 'default', runId: 'r' }, stateOf(...waiting, delegated, escalated));
    expect(view.waitingOn).toEqual([
      expect.objectContaining({
        promise: 'task',
        keeper: 'person',
        id: '1',
        sinceMs: START_MS,
        dueAtMs: START_MS + MINUTE,
        detail: 'an answer of user:mia or user:leo or role:head: Is it right?',
      }),
    ]);
  });

  it('is no signal, whatever somebody calls one', () => {
    given(...waiting)
      .when(at({ type: 'SignalRun', name: 'ask', payload: 1 }))
      .then(fact('SignalReceived', { name: 'ask', payload: 1, commandId: commandIdAt(START_MS, 7) }));
  });
});

describe('an answer', () => {
  it('wakes the run, and is what the code is given', () => {
    given(...waiting)
      .when(answer())
      .then(answered(), ...ALL_CANCELLED, WOKEN);
    const { inbound } = stateOf(...waiting, answered());
    expect(inbound).toEqual([{ revision: 7, call: '1', kind: 'wait', name: ASK_NAME, outcome: { ok: true, value: ANSWER } }]);
  });

  it('is refused with each field that does not fit', () => {
    const issues = ['/right must be boolean', '/why must be string'];
    given(...waiting)
      .when(answer({ checked: { asked: 2, issues } }))
      .thenRejected('InvalidAnswer');
  });

  it('is looked at again if something else is asked than what it was looked at for', () => {
    given(...waiting)
      .when(answer({ checked: { asked: undefined, issues: [] } }))
      .thenRejected('OtherTask');
  });

  it.each([
    ['the assignee', [], {}],
    ['whoever it was delegated to', [delegated], { by: 'leo' }],
    ['whoever has the role that it was escalated to', [escalated], { by: 'eva', roles: ['head'] }],
    ['the assignee, after it was escalated', [escalated], {}],
  ])('is taken of %s', (_, more, who) => {
    given(...waiting, ...more)
      .when(answer(who, 8))
      .then(
        answered({ by: 'mia', ...who, roles: undefined, commandId: commandIdAt(START_MS, 8) } as never),
        ...ALL_CANCELLED,
        WOKEN,
      );
  });

  it.each([
    ['somebody else', { by: 'leo' }],
    ['whoever has the role only later', { by: 'eva', roles: ['head'] }],
    ['whose name is that of the role', { by: 'head' }],
    ['somebody else, even with an answer that does not fit', { by: 'leo', checked: { asked: 2, issues: ['/right'] } }],
  ])('is not taken of %s', (_, who) => {
    given(...waiting)
      .when(answer(who))
      .thenRejected('NotYourTask');
  });

  it('is welcome twice of the same person, and changes nothing', () => {
    given(...waiting, answered(), ...ALL_CANCELLED, WOKEN)
      .when(answer({}, 8))
      .then();
    given(...waiting, answered(), fact('RunTerminated', { reason: 'x', leftOpen: [], endedAtMs: START_MS }))
      .when(answer({}, 8))
      .then();
  });

  it.each([
    ['another one of the same person', answer({ answer: { right: false } }, 8)],
    ['one of somebody else', answer({ by: 'leo' }, 8)],
  ])('is refused when it was answered: %s', (_, late) => {
    given(...waiting, answered(), ...ALL_CANCELLED, WOKEN)
      .when(late)
      .thenRejected('TaskClosed');
  });

  it('is told after the end of the run what became of it', () => {
    const ended = fact('RunTerminated', { reason: 'x', leftOpen: [], endedAtMs: START_MS });
    given(...waiting, answered(), ended)
      .when(answer({ by: 'leo' }, 8))
      .thenRejected('TaskClosed');
    given(...waiting, answered(), ended)
      .when(delegate())
      .thenRejected('TaskClosed');
    given(...waiting, ended)
      .when(delegate())
      .thenRejected('RunAlreadyEnded');
  });

  it('is refused when its time is over, nobody asks, or the run has ended', () => {
    const expired = fact('TaskExpired', { call: '1', action: 'fail' });
    given(...waiting, fired('expiry', 3), expired)
      .when(answer())
      .thenRejected('TaskClosed');
    given(...waiting)
      .when(answer({ call: '2' }))
      .thenRejected('NoSuchTask');
    given(...waiting)
      .when(answer({ asked: 1 }))
      .thenRejected('OtherTask');
    given(...waiting, fact('RunTerminated', { reason: 'x', leftOpen: [], endedAtMs: START_MS }))
      .when(answer())
      .thenRejected('RunAlreadyEnded');
  });
});

describe('delegating', () => {
  it('lets another person answer, and is for those who may answer', () => {
    given(...waiting)
      .when(delegate())
      .then(delegated);
    given(...waiting)
      .when(delegate('leo'))
      .thenRejected('NotYourTask');
  });
});

describe('the timers of a question', () => {
  it('remind those who may answer', () => {
    given(...waiting, delegated)
      .when(fire('r1', 1))
      .then(fired('r1', 1), fact('TaskReminded', { call: '1', title: 'Is it right?', to: ['user:mia', 'user:leo'] }));
  });

  it('let others answer', () => {
    given(...waiting)
      .when(fire('e1', 2))
      .then(fired('e1', 2), escalated);
  });

  it('never before they are due', () => {
    given(...waiting)
      .when(fire('expiry', 2))
      .thenRejected('TimerNotDue');
  });

  it.each([
    ['fail', {}, { ok: false, error: expect.objectContaining({ code: 'TaskExpired' }) }],
    ['continue', {}, { ok: true, value: null }],
    ['answer', { answer: ANSWER }, { ok: true, value: ANSWER }],
  ] as const)('end it: %s', (action, more, outcome) => {
    const facts = [
      requested(),
      assigned(),
      asked({ expires: { atMs: START_MS + 3 * MINUTE, action, ...more } }),
      ...TIMERS,
      SUSPENDED,
    ];
    const expired = fact('TaskExpired', { call: '1', action, ...more });
    given(...facts)
      .when(fire('expiry', 3))
      .then(fired('expiry', 3), expired, cancelled('r1'), cancelled('e1'), WOKEN);
    expect(stateOf(...facts, fired('expiry', 3), expired).inbound).toMatchObject([{ call: '1', outcome }]);
  });
});

describe('a question of a model', () => {
  const ask = { form: FORM, assignee: 'user:mia', expires: { afterMs: MINUTE, action: 'continue' as const } };
  const code = knownCode(agentManifest({ tools: ['ask_person'] }), [toolManifest('ask_person', { ask })]);
  const asTool = { tool: 'ask_person', toolCallId: 'a' };
  const decide = (args: unknown): ProgressEntry => ({
    type: 'model-result',
    call: 't1',
    attempt: 1,
    result: { ok: true, decision: decision({ toolCalls: [{ ...asTool, args }] }) },
  });
  const turn = (n: number) => fact('ModelCallIntended', { call: `t${n}`, turn: n, model: 'scripted-1' });
  const begun = [requested({ kind: 'agent', name: 'helper' }), assigned(), turn(1)];
  const inAgent = (args: unknown) => ({ ...report(1, decide(args)), code });
  const of = (title: string, more: object = {}) =>
    fact('TaskAsked', {
      call: 't1.0',
      name: 'helper',
      title,
      ...more,
      form: FORM,
      assignee: 'user:mia',
      askedAtMs: START_MS,
      remindAtMs: [],
      escalate: [],
      expires: { atMs: START_MS + MINUTE, action: 'continue' },
      asTool,
    });
  const expiry = fact('TimerSet', {
    timerId: 'task-t1.0-expiry',
    purpose: 'task-expiry',
    call: 't1.0',
    dueAtMs: START_MS + MINUTE,
  });

  it.each([
    ['its words', { title: 'Which?', description: 'I see two.' }, of('Which?', { description: 'I see two.' })],
    ['whatever it says, where that has no title', { ask: 1 }, of('{"ask":1}')],
    ['as much as fits', { title: 'x'.repeat(300) }, of('x'.repeat(200))],
  ])('is asked in %s', (_, args, expected) => {
    const [, asked, timer] = given(...begun)
      .when(inAgent(args))
      .accepted();
    expect([asked, timer]).toEqual([reported(1, 1, expected), reported(1, 1, expiry)]);
  });

  it('is given its answer as the result of the tool, with the next turn', () => {
    const { accepted } = given(...begun).when(inAgent({ title: 'Which?' }));
    const waitingFor = [...begun, ...accepted(), SUSPENDED];
    const said = answer({ call: 't1.0', checked: { asked: 4, issues: [] } });
    const [first, ...rest] = given(...waitingFor)
      .when({ ...said, code })
      .accepted();
    expect([first, ...rest]).toEqual([
      answered({ call: 't1.0' }),
      fact('TimerCancelled', { timerId: 'task-t1.0-expiry' }),
      turn(2),
      WOKEN,
    ]);
    given(...waitingFor)
      .when({ ...said, code: knownCode(undefined) })
      .thenRejected('UnknownAgent');
    expect(tailItems(stateOf(...waitingFor, first as RunEvent).journal).at(-1)).toEqual({
      type: 'tool-result',
      call: 't1.0',
      ...asTool,
      outcome: { ok: true, value: ANSWER },
    });
  });

  it('that nobody answers is over, and the model goes on', () => {
    const { accepted } = given(...begun).when(inAgent({ title: 'Which?' }));
    const command = { type: 'FireTimer' as const, timerId: 'task-t1.0-expiry' };
    given(...begun, ...accepted(), SUSPENDED)
      .when({ ...at(command, 9, START_MS + MINUTE), code })
      .then(
        fact('TimerFired', { timerId: 'task-t1.0-expiry', dueAtMs: START_MS + MINUTE }),
        fact('TaskExpired', { call: 't1.0', action: 'continue' }),
        turn(2),
        WOKEN,
      );
  });
});

it('is asked anew of the same persons, for the time that is left, when the run goes back', () => {
  const facts = [requested(), assigned(), asked(), ...TIMERS, delegated, escalated, cancelled('r1'), SUSPENDED];
  const past = stateOf(...facts);
  const rewind = {
    type: 'RewindRun' as const,
    to: 9,
    past,
    asOf: 9,
    outcomes: new Map(),
    approvals: new Map(),
    sentSince: [],
    reason: 'x',
  };
  const decided = runDecider(specIdentities).decide(at(rewind, 10), past);
  const events = 'accepted' in decided ? decided.accepted : [];
  expect(events.filter(({ type }) => type.startsWith('Task') || type === 'TimerSet')).toEqual([
    asked(),
    delegated,
    escalated,
    { ...TIMERS[1], data: { ...TIMERS[1]?.data, timerId: 'b1-task-1-e1' } },
    { ...TIMERS[2], data: { ...TIMERS[2]?.data, timerId: 'b1-task-1-expiry' } },
  ]);
});
