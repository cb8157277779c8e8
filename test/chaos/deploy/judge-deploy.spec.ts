import type { LoggedFact } from '../../rig/log';
import { judgeDeploy, type LiveRun } from './judge-deploy';

const logged = (runId: string, facts: readonly (readonly [string, object])[]): readonly LoggedFact[] =>
  facts.map(([type, data], revision) => ({
    id: `${runId}-${revision}`,
    stream: `run-default.${runId}`,
    type,
    revision,
    position: { commit: '1', prepare: '1' },
    recordedAtMs: 1,
    data: data as LoggedFact['data'],
    metadata: {},
  }));
const begun = [
  ['RunRequested', { kind: 'workflow' }],
  ['RunAssigned', { epoch: 1, buildId: 'one' }],
] as const;
const divergedAndBack = [
  ['RunRepinned', { buildId: 'two' }],
  ['ActivationLost', { epoch: 1 }],
  ['RunAssigned', { epoch: 2, buildId: 'two' }],
  ['CodeDiverged', { epoch: 2, buildId: 'two' }],
  ['RunResumed', {}],
  ['RunAssigned', { epoch: 3, buildId: 'one' }],
] as const;
const ends = (output: string) => ['RunCompleted', { output }] as const;

const pinned: LiveRun = { runId: 'pinned', kind: 'workflow', breaks: true, moved: false };
const moved: LiveRun = { runId: 'moved', kind: 'workflow', breaks: true, moved: true };
const live = [pinned, moved];
const runs = new Map([
  ['pinned', logged('pinned', [...begun, ends('v1')])],
  ['moved', logged('moved', [...begun, ...divergedAndBack, ends('v1')])],
]);
const said = (...runIds: readonly string[]) => ({ total: 2, checked: 2, different: [{ runIds }] });

describe('the judge of a deployment', () => {
  it('is content when what the check named is what cannot go on, and all ended under the right build', () => {
    expect(judgeDeploy({ live, said: said('pinned', 'moved'), runs })).toEqual({
      failures: 0,
      diverged: 1,
      named: 2,
      violations: [],
    });
  });

  it.each<[string, Parameters<typeof judgeDeploy>[0], RegExp]>([
    ['a check that overlooked one', { live, said: said('moved'), runs }, /did not name the workflow pinned/],
    [
      'a check that named one too many',
      { live: [{ ...pinned, breaks: false }], said: said('pinned'), runs },
      /named the workflow pinned/,
    ],
    ['a check that left some out', { live, said: { ...said('pinned', 'moved'), checked: 1 }, runs }, /coverage: 1 of 2/],
    ['a pinned run that diverged', { live: [{ ...moved, moved: false }], said: said('moved'), runs }, /moved .* diverged/],
    [
      'a run that is lost',
      { live, said: said('pinned', 'moved'), runs: new Map([['moved', runs.get('moved') ?? []]]) },
      /lost: workflow pinned/,
    ],
    [
      'a run that ended under the wrong build',
      { live: [pinned], said: said('pinned'), runs: new Map([['pinned', logged('pinned', [...begun, ends('v2')])]]) },
      /ended under v2/,
    ],
    [
      'a run that was given to another build without a word',
      {
        live: [pinned],
        said: said('pinned'),
        runs: new Map([
          [
            'pinned',
            logged('pinned', [
              ...begun,
              ['ActivationLost', { epoch: 1 }],
              ['RunAssigned', { epoch: 2, buildId: 'two' }],
              ends('v1'),
            ]),
          ],
        ]),
      },
      /I15/,
    ],
  ])('notices %s', (_, given, message) => {
    expect(judgeDeploy(given).violations.join('\n')).toMatch(message);
  });
});
