import type { ProgressEntry } from '@perdure/run-contract';
import {
  assigned,
  commandIdAt,
  deciderSpec,
  fact,
  knownCode,
  reported,
  requested,
  specIdentities,
  START_MS,
  workflowManifest,
} from '@perdure/testing';
import type { DomainCommand, NoteMessage } from '../run.commands';
import { runDecider } from '../run.decider';
import { evolve } from '../run.evolve';
import { isOpen, noRun, type RunState } from '../run.state';
import { viewOf } from '../run.view';

const given = deciderSpec(runDecider(specIdentities));
const ID = commandIdAt(START_MS, 0);
const at = { nowMs: START_MS, commandId: commandIdAt(START_MS, 7), fraction: 0.5 };
const when = (command: DomainCommand) => ({ command, at, code: knownCode(workflowManifest()) });
const sends: ProgressEntry = { type: 'message-sent', call: '4', to: 'run2', name: 'question', payload: { q: 1 } };
const sent = fact('MessageSent', { call: '4', to: 'run2', name: 'question', payload: { q: 1 }, messageId: ID });
const note = (more: Partial<NoteMessage> = {}): NoteMessage => ({ type: 'NoteMessage', call: '4', messageId: ID, ...more });
const active = [requested(), assigned()];
const suspended = fact('RunSuspended', { epoch: 1 });
const woken = fact('RunWoken', { preferredWorkerId: 'worker-1' });
const error = { code: 'RecipientEnded', message: 'It has ended.', reaction: 'terminal' as const };

describe('a message', () => {
  it('is sent once by a call, under an id that follows from who sends it', () => {
    const report = when({ type: 'RecordProgress', epoch: 1, seq: 1, entries: [sends] });
    given(...active)
      .when(report)
      .then(reported(1, 1, sent));
    given(...active, sent)
      .when(report)
      .thenRejected('CallConflict');
  });

  it.each([
    ['it is delivered', {}, fact('MessageDelivered', { call: '4' })],
    ['nobody takes it', { error }, fact('MessageRefused', { call: '4', error })],
  ] as const)('wakes its sender when %s', (_, more, answered) => {
    given(...active, sent, suspended)
      .when(when(note(more)))
      .then(answered, woken);
  });

  it('is answered once', () => {
    given(...active, sent, fact('MessageDelivered', { call: '4' }))
      .when(when(note({ error })))
      .thenNothing();
    given(...active, sent)
      .when(when(note({ messageId: 'of another' })))
      .thenNothing();
  });

  it('is a signal to who gets it, and says who sent it', () => {
    const from = { type: 'SignalRun' as const, name: 'question', payload: 1, from: 'run1' };
    const received = fact('SignalReceived', { name: 'question', payload: 1, commandId: at.commandId, from: 'run1' });
    given(...active)
      .when(when(from))
      .then(received);
    const waited = [...active, received, fact('SignalAwaited', { call: '2', name: 'question' })];
    const state = waited.reduce<RunState>(evolve, noRun);
    expect(isOpen(state) && state.inbound).toMatchObject([
      { outcome: { ok: true, value: { timedOut: false, payload: 1, from: 'run1' } } },
    ]);
  });

  it('is what its sender waits for', () => {
    const state = [...active, sent, suspended].reduce<RunState>(evolve, noRun);
    if (!isOpen(state)) throw new Error('it is open');
    expect(viewOf({ tenant: 'acme', runId: 'run1' }, state).waitingOn).toMatchObject([{ promise: 'message', id: '4' }]);
  });
});
