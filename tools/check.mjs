#!/usr/bin/env node
// What CI runs and what `./perdure check` and `./perdure test` are: format, lint, types, tests.
//   check.mjs              everything
//   check.mjs --static     format, lint, types
//   check.mjs --tests [jest arguments, for example a path]
// Progress goes to standard error; standard output gets one last line: `N passed, N failed`.
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

// No daemon: a check leaves no process behind. No screen of its own: the log is read later.
const ENVIRONMENT = { ...process.env, NX_DAEMON: 'false', NX_TUI: 'false', NX_NO_CLOUD: 'true' };

// The targets of project.json in the root: one process each over all files, with Nx's cache in front.
const STATIC_STEPS = ['format', 'lint', 'types'].map((name) => ({
  name,
  tool: ['nx', 'nx', ['run', `workspace:check-${name}`, '--output-style', 'static']],
}));

// Quick and pure first. Specs that start servers run two at a time, whatever the machine has.
const TEST_PHASES = [
  { projects: ['unit', 'sim'], workers: Math.max(2, availableParallelism()) },
  { projects: ['int', 'e2e'], workers: 2 },
];

/** The longest that one step may take: a hanging step is a failure with a name, not a silent CI. */
const STEP_MAX_MS = 9 * 60_000;

const say = (line) => process.stderr.write(`${line}\n`);

async function binOf(packageName, binName) {
  const folder = join(root, 'node_modules', packageName);
  const { bin } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
  return join(folder, typeof bin === 'string' ? bin : bin[binName]);
}

/** A group of its own, so that whatever a spec started and left behind ends with it. */
function endGroup(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

async function run([packageName, binName, args]) {
  const script = await binOf(packageName, binName);
  const options = { cwd: root, env: ENVIRONMENT, stdio: ['ignore', 2, 2], detached: true };
  const child = spawn(process.execPath, [script, ...args], options);
  const stop = (signal) => {
    interrupted = true;
    endGroup(child, signal);
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  const overdue = setTimeout(() => {
    say(
      `check: ${binName} did not end within ${STEP_MAX_MS / 60_000} minutes and was stopped; a spec may have left something open`,
    );
    endGroup(child, 'SIGKILL');
  }, STEP_MAX_MS);
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => resolve(code ?? 1));
    });
  } finally {
    clearTimeout(overdue);
    process.off('SIGINT', stop).off('SIGTERM', stop);
    endGroup(child, 'SIGKILL');
  }
}

let interrupted = false;

async function timed(name, task) {
  if (interrupted) return { passed: 0, failed: 1 };
  const startedAt = performance.now();
  say(`\n== ${name}`);
  const result = await task();
  say(`== ${name}: ${result.failed === 0 ? 'ok' : 'FAILED'}, ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
  return result;
}

async function staticStep({ tool }) {
  return (await run(tool)) === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

/** A suite that could not run, or a jest that could not start, counts as one failure: never as none. */
async function testPhase({ projects, workers, named }, extra) {
  const folder = await mkdtemp(join(tmpdir(), 'perdure-check-'));
  const report = join(folder, 'report.json');
  try {
    const selection = named === true ? [] : ['--selectProjects', ...projects];
    const args = [...selection, '--maxWorkers', String(workers), '--passWithNoTests'];
    const code = await run(['jest', 'jest', [...args, '--json', '--outputFile', report, ...extra]]);
    const counts = JSON.parse(await readFile(report, 'utf8').catch(() => '{}'));
    const failed = (counts.numFailedTests ?? 0) + (counts.numRuntimeErrorTestSuites ?? 0);
    return { passed: counts.numPassedTests ?? 0, failed: code === 0 ? failed : Math.max(1, failed) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function main(args) {
  const only = args.find((arg) => arg === '--static' || arg === '--tests');
  const extra = args.filter((arg) => arg !== only && arg !== '--');
  const results = [];
  if (only !== '--tests') {
    for (const step of STATIC_STEPS) results.push(await timed(step.name, () => staticStep(step)));
  }
  if (only !== '--static') {
    const phases = extra.includes('--selectProjects') ? [{ projects: ['as named'], workers: 2, named: true }] : TEST_PHASES;
    for (const phase of phases) results.push(await timed(`tests: ${phase.projects.join(', ')}`, () => testPhase(phase, extra)));
  }
  // A whole run without a single test is a broken configuration, not a success.
  if (only !== '--static' && extra.length === 0 && results.every(({ passed }) => passed === 0))
    results.push({ passed: 0, failed: 1 });
  const sum = (key) => results.reduce((total, result) => total + result[key], 0);
  process.stdout.write(`${sum('passed')} passed, ${sum('failed')} failed\n`);
  return sum('failed') === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
