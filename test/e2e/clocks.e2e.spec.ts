import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ROOT } from '@perdure/cli';
import { openRig } from '../rig/fresh-stack';
import { readSomeRuns } from '../rig/log';
import { ENTRY, ofType, START_MAX_MS, World } from './rig.world';

/** The wall clock of the node that the services run on is set while they run; that of the event store is not. */
const RUNS = 20;
const SLEEP_MS = 3_000;
const HOUR_SECONDS = 3_600;
const LOOK_EVERY_MS = 50;
const NOTICED_MAX_MS = 10_000;
const SPEC_MAX_MS = 60_000;

let world: World;
let clockFile: string;
beforeAll(async () => {
  const library = spawnSync('sh', [join(ROOT, 'tools/faketime.sh')], { encoding: 'utf8' });
  if (library.status !== 0) throw new Error(library.stderr);
  const rig = await openRig((folder) => {
    clockFile = join(folder, 'clock');
    setClock(0);
    return {
      form: 'dev',
      entry: ENTRY,
      workers: 1,
      serviceEnv: {
        LD_PRELOAD: library.stdout.trim(),
        FAKETIME_TIMESTAMP_FILE: clockFile,
        FAKETIME_NO_CACHE: '1',
        FAKETIME_DONT_FAKE_MONOTONIC: '1',
      },
    };
  });
  world = new World(rig);
}, START_MAX_MS);
afterAll(() => world.close(), START_MAX_MS);

function setClock(aheadSeconds: number): void {
  writeFileSync(clockFile, `${aheadSeconds < 0 ? '' : '+'}${aheadSeconds}\n`);
}

/** Times that the services have said so. */
function said(words: string): number {
  return readFileSync(join(world.rig.folder, 'data', 'logs', 'services.log'), 'utf8').split(words).length - 1;
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  for (const untilMs = Date.now() + NOTICED_MAX_MS; !isSo(); await pause(LOOK_EVERY_MS))
    if (Date.now() > untilMs) throw new Error(`not within ${NOTICED_MAX_MS} ms: ${what}`);
}

describe('timers of a node whose clock is set', () => {
  it.each([
    ['an hour ahead', HOUR_SECONDS],
    ['an hour back', -HOUR_SECONDS],
  ])(
    'are neither early nor lost: %s',
    async (_direction, aheadSeconds) => {
      const sleeps = Array.from({ length: RUNS }, (_, n) => SLEEP_MS + n * LOOK_EVERY_MS);
      const runIds = await Promise.all(sleeps.map((ms) => world.start('sleeper', { ms })));
      await Promise.all(runIds.map((runId) => world.until(runId, ofType('TimerSet'))));
      const warnings = said('it owns nothing until that is mended');
      setClock(aheadSeconds);
      await until('the node notices', () => said('it owns nothing until that is mended') > warnings);
      setClock(0);
      await Promise.all(runIds.map((runId) => world.ended(runId)));
      const runs = await readSomeRuns(world.rig.stack.storeUrl, runIds);
      for (const facts of runs.values()) {
        const [fired, ...others] = facts.filter(({ type }) => type === 'TimerFired');
        expect(others).toEqual([]);
        expect(fired?.recordedAtMs).toBeGreaterThanOrEqual(Number(fired?.data.dueAtMs));
        expect(facts.at(-1)?.type).toBe('RunCompleted');
      }
      expect(runs.size).toBe(RUNS);
    },
    SPEC_MAX_MS,
  );
});
