import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './stack/programs';

const PARTS = ['one', 'two', 'three', 'four', 'five'];

function perdure(...args: readonly string[]): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = spawn(process.execPath, [join(ROOT, 'apps/cli/dist/main.js'), ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return new Promise((resolve) => child.once('exit', (code) => resolve({ code, output })));
}

describe('perdure demo', () => {
  it('loses a worker in the middle of a run, and nothing else', async () => {
    const tree = mkdtempSync(join(tmpdir(), 'perdure-demo-spec-'));
    for (const part of PARTS) {
      mkdirSync(join(tree, part));
      writeFileSync(join(tree, part, 'code.ts'), 'export const answer = 42;\n');
    }
    const { code, output } = await perdure('demo', '--path', tree, '--json');
    rmSync(tree, { recursive: true });
    const told = JSON.parse(output) as { workers: readonly string[] };
    expect(told).toMatchObject({ ok: true, outcome: 'completed', executedTwice: 0, processesLeft: 0 });
    expect(new Set(told.workers).size).toBe(2);
    expect(code).toBe(0);
  }, 90_000);
});
