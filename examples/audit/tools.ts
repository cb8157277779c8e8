import { resolve } from 'node:path';
import { tool } from '@perdure/sdk';
import { z } from 'zod';
import { inspectPart } from './inspect';
import { recorded } from './ledger';
import { writeReport } from './report';
import { listTree } from './tree';

/** Reads only: whatever happens, it may be done again. */
export const listTreeTool = tool({
  name: 'list_tree',
  description: 'Lists the parts of a directory tree or git repository, with the number of files in each. Call it first.',
  input: z.object({ path: z.string().describe('directory to audit') }),
  effect: 'pure',
  execute: ({ path }, scope) => recorded(scope.idempotencyKey, 'list_tree', () => listTree(path)),
});

export const inspectPartTool = tool({
  name: 'inspect_part',
  description:
    'Reads every file of one part: lines by language, longest files and functions, tests, notes left to do, possible secrets, merge conflicts.',
  input: z.object({
    root: z.string().describe('root as list_tree gave it'),
    part: z.string().describe('a part as list_tree named it'),
  }),
  effect: 'pure',
  execute: ({ root, part }, scope) => recorded(scope.idempotencyKey, 'inspect_part', () => inspectPart(root, part)),
});

const finding = z.object({ severity: z.enum(['high', 'medium', 'low']), where: z.string(), what: z.string() });

/** Changes the world outside, once a key: after a crash it is called again with the same key, and finds its own mark. */
export const writeReportTool = tool({
  name: 'write_report',
  description: 'Writes the report as a Markdown file. Call it once, after all parts are inspected.',
  input: z.object({
    path: z.string().describe('file to write'),
    title: z.string(),
    root: z.string(),
    summary: z.string().describe('two or three sentences for a busy reader'),
    parts: z.array(
      z.object({ part: z.string(), files: z.number(), lines: z.number(), languages: z.string(), tests: z.number() }),
    ),
    findings: z.array(finding),
    recommendations: z.array(z.string()),
  }),
  effect: 'idempotent',
  execute: ({ path, ...report }, scope) =>
    recorded(scope.idempotencyKey, 'write_report', () => writeReport(resolve(path), report, scope.idempotencyKey)),
});
