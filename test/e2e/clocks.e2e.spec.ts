import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ROOT } from '@perdure/cli';
import { openRig } from '../rig/fresh-stack';
import { readSomeRuns } from '../rig/log';
import { ENTRY, ofType, START_MAX_MS, World } from './rig.world';

/** The wall clock of one process of the services is set while it runs; that of the event store is not. */
const RUNS = 20;
const SLEEP_MS = 3_000;
const HOUR_SECONDS = 3_600;
const LOOK_EVERY_MS = 50;
const NOTICED_MAX_MS = 10_000;
const SPEC_MAX_MS = 60_000;
const WRONG = 'it owns nothing until that is mended';

type Env = Readonly<Record<string, string>>;

let library: string;
let world: World;
beforeAll(() => {
  const found = spawnSync('sh', [join(ROOT, 'tools/faketime.sh')], { encoding: 'utf8' });
  if (found.status !== 0) throw new Error(found.stderr);
  library = found.stdout.trim();
}, START_MAX_MS);

/** A process that is given this goes by a clock of its own. */
function clockEnv(folder: string, name: string): Env {
  setClock(folder, name, 0);
  return {
    LD_PRELOAD: library,
    FAKETIME_TIMESTAMP_FILE: clockFile(folder, name),
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  };
}

function clockFile(folder: string, name: string): string {
  return join(folder, `clock-${name}`);
}

function setClock(folder: string, name: string, aheadSeconds: number): void {
  writeFileSync(clockFile(folder, name), `${aheadSeconds < 0 ? '' : '+'}${aheadSeconds}\n`);
}

/** Times that a process has said so. */
function said(name: string, words: string): number {
  return readFileSync(join(world.rig.folder, 'data', 'logs', `${name}.log`), 'utf8').split(words).length - 1;
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  for (const untilMs = Date.now() + NOTICED_MAX_MS; !isSo(); await pause(LOOK_EVERY_MS))
    if (Date.now() > untilMs) throw new Error(`not within ${NOTICED_MAX_MS} ms: ${what}`);
}

async function expectNeitherEarlyNorLost(name: string, aheadSeconds: number): Promise<void> {
  const { folder } = world.rig;
  const sleeps = Array.from({ length: RUNS }, (_, n) => SLEEP_MS + n * LOOK_EVERY_MS);
  const runIds = await Promise.all(sleeps.map((ms) => world.start('sleeper', { ms })));
  await Promise.all(runIds.map((runId) => world.until(runId, ofType('TimerSet'))));
  const warnings = said(name, WRONG);
  setClock(folder, name, aheadSeconds);
  await until('the node notices', () => said(name, WRONG) > warnings);
  setClock(folder, name, 0);
  await Promise.all(runIds.map((runId) => world.ended(runId)));
  const runs = await readSomeRuns(world.rig.stack.storeUrl, runIds);
  for (const facts of runs.values()) {
    const [fired, ...others] = facts.filter(({ type }) => type === 'TimerFired');
    expect(others).toEqual([]);
    expect(fired?.recordedAtMs).toBeGreaterThanOrEqual(Number(fired?.data.dueAtMs));
    expect(facts.at(-1)?.type).toBe('RunCompleted');
  }
  expect(runs.size).toBe(RUNS);
}

const JUMPS: readonly [string, number][] = [
  ['an hour ahead', HOUR_SECONDS],
  ['an hour back', -HOUR_SECONDS],
];

describe('timers of a node whose clock is set', () => {
  beforeAll(async () => {
    world = new World(
      await openRig((folder) => ({ form: 'dev', entry: ENTRY, workers: 1, serviceEnv: clockEnv(folder, 'services') })),
    );
  }, START_MAX_MS);
  afterAll(() => world.close(), START_MAX_MS);

  it.each(JUMPS)(
    'are neither early nor lost: %s',
    (_direction, aheadSeconds) => expectNeitherEarlyNorLost('services', aheadSeconds),
    SPEC_MAX_MS,
  );
});

describe.each(['timers', 'orchestrator'] as const)('timers, when the clock of %s alone is set', (name) => {
  beforeAll(async () => {
    world = new World(
      await openRig((folder) => ({ form: 'isolated', entry: ENTRY, workers: 1, envOf: { [name]: clockEnv(folder, name) } })),
    );
  }, START_MAX_MS);
  afterAll(() => world.close(), START_MAX_MS);

  it.each(JUMPS)(
    'are neither early nor lost: %s',
    (_direction, aheadSeconds) => expectNeitherEarlyNorLost(name, aheadSeconds),
    SPEC_MAX_MS,
  );
});
