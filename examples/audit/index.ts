import { agent } from '@perdure/sdk';
import { z } from 'zod';
import { configuredModel } from './model';
import { inspectPartTool, listTreeTool, writeReportTool } from './tools';

/** Audits a directory tree or git repository: plans, looks at every part, writes a report. */
export const audit = agent({
  name: 'audit',
  model: configuredModel(process.env),
  instructions: [
    'You audit software repositories. Call list_tree first. Then call inspect_part once for every part it named, all in one turn.',
    'When all results are in, call write_report once, with what you found and what should be done, most important first;',
    'never repeat a secret that you saw. End with two sentences for the person who asked, and the path of the report.',
  ].join(' '),
  input: z.object({
    path: z.string().min(1).default('.').describe('directory or git repository to audit'),
    report: z.string().min(1).default('.perdure/audit-report.md').describe('Markdown file to write'),
  }),
  tools: [listTreeTool, inspectPartTool, writeReportTool],
  limits: { turnsMax: 12 },
});

export default [audit];
