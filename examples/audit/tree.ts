import { execFile } from 'node:child_process';
import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Terminal } from '@perdure/sdk';

/** What a person would not count as part of the project. */
const SKIPPED = new Set([
  'node_modules',
  '.git',
  'dist',
  'build',
  'target',
  'vendor',
  '.venv',
  '__pycache__',
  '.nx',
  '.next',
  'coverage',
  '.perdure',
]);
const FILES_MAX = 20_000;
/** A part is what one look takes in: larger ones are split by folder, down to this depth. */
const PART_FILES_MAX = 40;
const PARTS_MAX = 24;
const DEPTH_MAX = 3;
const GIT_OUTPUT_BYTES_MAX = 16 * 1024 * 1024;

export interface Part {
  /** Folder relative to the root, "." for what lies in none of the other parts. */
  readonly part: string;
  readonly files: number;
}

export interface Tree {
  readonly root: string;
  readonly git: boolean;
  readonly files: number;
  readonly parts: readonly Part[];
  readonly licence: boolean;
  readonly readme: boolean;
}

/** The files of a directory tree; of a git repository those that it tracks. Sorted, relative. */
export async function filesOf(root: string): Promise<{ readonly git: boolean; readonly files: readonly string[] }> {
  try {
    const { stdout } = await promisify(execFile)('git', ['-C', root, 'ls-files', '-z', '--cached', '--', '.'], {
      maxBuffer: GIT_OUTPUT_BYTES_MAX,
    });
    const tracked = stdout.split('\0').filter((file) => file !== '' && !file.split('/').some((name) => SKIPPED.has(name)));
    if (tracked.length > 0) return { git: true, files: tracked.sort().slice(0, FILES_MAX) };
  } catch {
    // Not a repository, or no git here: the folder itself is as good.
  }
  const found: string[] = [];
  await walk(root, '', found);
  return { git: false, files: found.sort() };
}

async function walk(root: string, folder: string, found: string[]): Promise<void> {
  for (const entry of await readdir(join(root, folder), { withFileTypes: true })) {
    if (found.length >= FILES_MAX) return;
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory() && !SKIPPED.has(entry.name)) await walk(root, path, found);
    else if (entry.isFile()) found.push(path);
  }
}

export async function listTree(path: string): Promise<Tree> {
  const root = resolve(path);
  const about = await stat(root).catch(() => undefined);
  if (!about?.isDirectory()) throw new Terminal('NotADirectory', `${root} is not a directory: give the path of one to audit.`);
  const { git, files } = await filesOf(root);
  const top = files.filter((file) => !file.includes('/')).map((file) => file.toLowerCase());
  return {
    root,
    git,
    files: files.length,
    parts: partsOf(files),
    licence: top.some((file) => /^(licen[cs]e|copying)/.test(file)),
    readme: top.some((file) => file.startsWith('readme')),
  };
}

/** Splits the largest folder again and again while there is room for more parts. */
export function partsOf(files: readonly string[]): readonly Part[] {
  let groups = groupBy(files, 1);
  for (;;) {
    const largest = [...groups]
      .filter(([part, held]) => held.length > PART_FILES_MAX && part !== '.' && part.split('/').length < DEPTH_MAX)
      .sort((a, b) => b[1].length - a[1].length)[0];
    if (!largest) break;
    const [part, held] = largest;
    const split = groupBy(held, part.split('/').length + 1);
    if (groups.size - 1 + split.size > PARTS_MAX) break;
    groups.delete(part);
    groups = new Map([...groups, ...split]);
  }
  const sorted = [...groups].sort((a, b) => b[1].length - a[1].length);
  const kept = sorted.slice(0, PARTS_MAX - 1).filter(([part]) => part !== '.');
  const rest = files.length - kept.reduce((sum, [, held]) => sum + held.length, 0);
  const parts = kept.map(([part, held]) => ({ part, files: held.length })).sort((a, b) => (a.part < b.part ? -1 : 1));
  return rest > 0 ? [...parts, { part: '.', files: rest }] : parts;
}

function groupBy(files: readonly string[], depth: number): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const file of files) {
    const folders = file.split('/').slice(0, -1);
    const part = folders.slice(0, depth).join('/') || '.';
    const group = groups.get(part);
    if (group) group.push(file);
    else groups.set(part, [file]);
  }
  return groups;
}

/** The files that belong to a part and to no other, more special one. */
export function filesOfPart(files: readonly string[], part: string, parts: readonly string[]): readonly string[] {
  const inside = (file: string, folder: string): boolean => folder === '.' || file.startsWith(`${folder}/`);
  const deeper = parts.filter((other) => other !== part && other !== '.' && (part === '.' || other.startsWith(`${part}/`)));
  return files.filter((file) => inside(file, part) && !deeper.some((other) => inside(file, other)));
}
