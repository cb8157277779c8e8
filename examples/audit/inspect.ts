import { readFile, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { Terminal } from '@perdure/sdk';
import { filesOf, filesOfPart, partsOf } from './tree';

/** A source file larger than this was made by a program, and is counted without being read. */
const FILE_BYTES_MAX = 1_000_000;
const LISTED_MAX = 5;
const LONG_FILE_LINES = 400;
const LONG_FUNCTION_LINES = 70;

export interface Place {
  readonly file: string;
  readonly line: number;
  readonly what: string;
}

export interface Inspection {
  readonly part: string;
  readonly files: number;
  readonly lines: number;
  readonly bytes: number;
  readonly languages: Readonly<Record<string, number>>;
  readonly longestFiles: readonly { readonly file: string; readonly lines: number }[];
  readonly longFunctions: readonly Place[];
  readonly notes: readonly Place[];
  readonly noteCount: number;
  readonly possibleSecrets: readonly Place[];
  readonly conflicts: readonly Place[];
  readonly largeFiles: readonly { readonly file: string; readonly bytes: number }[];
  readonly tests: number;
}

const LANGUAGES: Readonly<Record<string, string>> = {
  '.ts': 'TypeScript',
  '.tsx': 'TypeScript',
  '.mts': 'TypeScript',
  '.cts': 'TypeScript',
  '.js': 'JavaScript',
  '.jsx': 'JavaScript',
  '.mjs': 'JavaScript',
  '.cjs': 'JavaScript',
  '.py': 'Python',
  '.go': 'Go',
  '.rs': 'Rust',
  '.java': 'Java',
  '.kt': 'Kotlin',
  '.c': 'C',
  '.h': 'C',
  '.cc': 'C++',
  '.cpp': 'C++',
  '.hpp': 'C++',
  '.cs': 'C#',
  '.rb': 'Ruby',
  '.php': 'PHP',
  '.swift': 'Swift',
  '.sh': 'Shell',
  '.sql': 'SQL',
  '.proto': 'Protobuf',
  '.md': 'Markdown',
  '.json': 'JSON',
  '.yaml': 'YAML',
  '.yml': 'YAML',
  '.toml': 'TOML',
  '.html': 'HTML',
  '.css': 'CSS',
};
const CODE = new Set(['TypeScript', 'JavaScript', 'Go', 'Rust', 'Java', 'Kotlin', 'C', 'C++', 'C#', 'PHP', 'Swift']);

const SECRETS: readonly (readonly [string, RegExp])[] = [
  ['private key', /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/],
  ['cloud access key', /\bAKIA[0-9A-Z]{16}\b/],
  ['code host token', /\bgh[pousr]_[A-Za-z0-9]{36,}\b/],
  ['chat token', /\bxox[baprs]-[A-Za-z0-9-]{20,}\b/],
  ['password in a URL', /\b[a-z][a-z0-9+.-]*:\/\/[^\s:/@'"`$<{]+:[^\s:/@'"`$<{]{6,}@/i],
  [
    'secret in an assignment',
    /\b(?:api[_-]?key|secret|passwd|password|auth[_-]?token)\b['"]?\s*[:=]\s*['"][A-Za-z0-9+/_=-]{16,}['"]/i,
  ],
];
const NOTE = /(?:\/\/|\/\*|#|--|<!--)\s*(?:TODO|FIXME|XXX|HACK)\b/;
const CONFLICT = /^(?:<{7}|>{7}) /;
const FUNCTION =
  /^\s*(?:export\s+)?(?:default\s+)?(?:public\s+|private\s+|protected\s+|static\s+|async\s+|override\s+)*(?:function\b|func\b|fn\b|[A-Za-z_$][\w$<>,\s[\]*&]*\([^;]*\)[^;=]*\{\s*$|(?:const|let)\s+\w+\s*=\s*(?:async\s*)?\([^)]*\)[^=]*=>\s*\{\s*$)/;
const TEST_FILE = /(?:\.(?:spec|test)\.[a-z]+$|_test\.[a-z]+$|(?:^|\/)test_[^/]+\.py$|(?:^|\/)tests?\/)/;

interface Findings {
  readonly languages: Record<string, number>;
  readonly long: { file: string; lines: number }[];
  readonly functions: Place[];
  readonly notes: Place[];
  readonly secrets: Place[];
  readonly conflicts: Place[];
  readonly large: { file: string; bytes: number }[];
  lines: number;
  bytes: number;
  tests: number;
}

/** @throws Terminal `UnknownPart`: trying again cannot help, and the model is told */
export async function inspectPart(root: string, part: string): Promise<Inspection> {
  const { files } = await filesOf(root);
  const parts = partsOf(files).map((each) => each.part);
  if (!parts.includes(part)) throw new Terminal('UnknownPart', `There is no part "${part}"; there are ${parts.join(', ')}.`);
  const mine = filesOfPart(files, part, parts);
  const found: Findings = {
    languages: {},
    long: [],
    functions: [],
    notes: [],
    secrets: [],
    conflicts: [],
    large: [],
    lines: 0,
    bytes: 0,
    tests: 0,
  };
  for (const file of mine) await inspectFile(root, file, found);
  const longest = [...found.long].sort((a, b) => b.lines - a.lines);
  return {
    part,
    files: mine.length,
    lines: found.lines,
    bytes: found.bytes,
    languages: found.languages,
    longestFiles: longest.slice(0, 3),
    longFunctions: found.functions.slice(0, LISTED_MAX),
    notes: found.notes.slice(0, LISTED_MAX),
    noteCount: found.notes.length,
    possibleSecrets: found.secrets.slice(0, LISTED_MAX),
    conflicts: found.conflicts.slice(0, LISTED_MAX),
    largeFiles: found.large.slice(0, LISTED_MAX),
    tests: found.tests,
  };
}

async function inspectFile(root: string, file: string, found: Findings): Promise<void> {
  const path = join(root, file);
  const about = await stat(path).catch(() => undefined);
  if (!about?.isFile()) return;
  found.bytes += about.size;
  if (about.size > FILE_BYTES_MAX) {
    found.large.push({ file, bytes: about.size });
    return;
  }
  const text = await readFile(path, 'utf8');
  if (text.includes('\0')) return;
  const language = LANGUAGES[extname(file).toLowerCase()] ?? 'other';
  const lines = text.split('\n');
  found.lines += lines.length;
  found.languages[language] = (found.languages[language] ?? 0) + lines.length;
  if (TEST_FILE.test(file)) found.tests += 1;
  found.long.push({ file, lines: lines.length });
  lines.forEach((line, index) => inspectLine({ file, line: index + 1, what: line.trim().slice(0, 120) }, line, found));
  if (CODE.has(language)) found.functions.push(...longFunctions(file, lines));
}

function inspectLine(place: Place, line: string, found: Findings): void {
  if (line.length > 2_000) return;
  if (NOTE.test(line)) found.notes.push(place);
  if (CONFLICT.test(line)) found.conflicts.push({ ...place, what: 'merge conflict left in the file' });
  const secret = SECRETS.find(([, pattern]) => pattern.test(line));
  // What was found is never repeated: a report is read by more people than a key may be.
  if (secret) found.secrets.push({ ...place, what: `looks like a ${secret[0]}` });
}

/** By indentation: a function ends at the next line that closes at its own depth. Good enough to point at. */
function longFunctions(file: string, lines: readonly string[]): readonly Place[] {
  const found: Place[] = [];
  for (let start = 0; start < lines.length; start += 1) {
    const head = lines[start] ?? '';
    if (!FUNCTION.test(head) || /^\s*(?:if|for|while|switch|catch|else)\b/.test(head)) continue;
    const indent = head.length - head.trimStart().length;
    let end = start + 1;
    while (end < lines.length && !closesAt(lines[end] ?? '', indent)) end += 1;
    const length = end - start + 1;
    if (length > LONG_FUNCTION_LINES && end < lines.length)
      found.push({ file, line: start + 1, what: `function of ${length} lines` });
  }
  return found;
}

function closesAt(line: string, indent: number): boolean {
  return line.length - line.trimStart().length === indent && line.trimStart().startsWith('}');
}

export type Severity = 'high' | 'medium' | 'low';

export interface Finding {
  readonly severity: Severity;
  readonly where: string;
  readonly what: string;
}

/** What an inspection gives reason to say, worst first. */
export function findingsOf(inspection: Inspection): readonly Finding[] {
  const at = ({ file, line }: Place): string => `${file}:${line}`;
  return [
    ...inspection.possibleSecrets.map((place) => ({ severity: 'high' as const, where: at(place), what: place.what })),
    ...inspection.conflicts.map((place) => ({ severity: 'high' as const, where: at(place), what: place.what })),
    ...inspection.longFunctions.map((place) => ({ severity: 'medium' as const, where: at(place), what: place.what })),
    ...inspection.longestFiles
      .filter(({ file, lines }) => lines > LONG_FILE_LINES && CODE.has(LANGUAGES[extname(file)] ?? ''))
      .map(({ file, lines }) => ({ severity: 'medium' as const, where: file, what: `file of ${lines} lines` })),
    ...inspection.largeFiles.map(({ file, bytes }) => ({
      severity: 'low' as const,
      where: file,
      what: `${(bytes / 1_048_576).toFixed(1)} MB in the tree`,
    })),
    ...inspection.notes.map((place) => ({ severity: 'low' as const, where: at(place), what: 'unfinished: a note to do later' })),
  ];
}
