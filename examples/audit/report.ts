import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Finding, Severity } from './inspect';

export interface PartRow {
  readonly part: string;
  readonly files: number;
  readonly lines: number;
  readonly languages: string;
  readonly tests: number;
}

export interface Report {
  readonly title: string;
  readonly root: string;
  readonly summary: string;
  readonly parts: readonly PartRow[];
  readonly findings: readonly Finding[];
  readonly recommendations: readonly string[];
}

const SEVERITIES: readonly Severity[] = ['high', 'medium', 'low'];
const HEADINGS: Readonly<Record<Severity, string>> = {
  high: 'Look at these first',
  medium: 'Worth a change',
  low: 'Good to know',
};

export function markdownOf(report: Report): string {
  const total = (pick: (row: PartRow) => number): number => report.parts.reduce((sum, row) => sum + pick(row), 0);
  const rows = report.parts.map((row) => `| \`${row.part}\` | ${row.files} | ${row.lines} | ${row.tests} | ${row.languages} |`);
  const sections = SEVERITIES.flatMap((severity) => {
    const found = report.findings.filter((finding) => finding.severity === severity);
    return found.length === 0
      ? []
      : [`## ${HEADINGS[severity]}`, '', ...found.map(({ where, what }) => `- \`${where}\`: ${what}`), ''];
  });
  return [
    `# ${report.title}`,
    '',
    `Audited: \`${report.root}\``,
    '',
    report.summary,
    '',
    '## What is there',
    '',
    '| part | files | lines | test files | languages |',
    '|---|---:|---:|---:|---|',
    ...rows,
    `| **all** | **${total((row) => row.files)}** | **${total((row) => row.lines)}** | **${total((row) => row.tests)}** | |`,
    '',
    ...sections,
    ...(report.recommendations.length === 0
      ? []
      : ['## What to do', '', ...report.recommendations.map((what, index) => `${index + 1}. ${what}`), '']),
  ].join('\n');
}

/**
 * Writes the file as a whole or not at all. Under the same key it is written once: a repeated call,
 * after a crash in the middle of the first, finds its own mark and changes nothing.
 */
export async function writeReport(
  path: string,
  report: Report,
  key: string,
): Promise<{ readonly path: string; readonly bytes: number; readonly again: boolean }> {
  const text = `${markdownOf(report)}\n<!-- effect ${key} -->\n`;
  const present = await readFile(path, 'utf8').catch(() => undefined);
  if (present === text) return { path, bytes: Buffer.byteLength(text), again: true };
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  const file = await open(temporary, 'w');
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  return { path, bytes: Buffer.byteLength(text), again: false };
}
