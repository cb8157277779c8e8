import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

export const ROOT = dirname(dirname(__dirname));

const SKIPPED = new Set(['node_modules', 'dist', '.git', '.nx', '.perdure', 'coverage']);

function walk(folder: string, into: string[]): string[] {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (SKIPPED.has(entry.name)) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) walk(path, into);
    else if (entry.isFile()) into.push(relative(ROOT, path));
  }
  return into;
}

/** Every file that is ours, relative to the root. */
export const FILES: readonly string[] = walk(ROOT, []).sort();

export function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

export function has(path: string): boolean {
  return existsSync(join(ROOT, path));
}

export function json<T>(path: string): T {
  return JSON.parse(read(path)) as T;
}

export interface PackageManifest {
  readonly name: string;
  readonly workspaces?: readonly string[];
  readonly main?: string;
  /** Entries by sub-path, to the built file. */
  readonly exports?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

export interface Package {
  readonly folder: string;
  readonly manifest: PackageManifest;
}

/** Every workspace package: a folder below libs/ or apps/ with a package.json. */
export function packages(): readonly Package[] {
  return FILES.filter((path) => /^(libs|apps)\/.*package\.json$/.test(path)).map((path) => ({
    folder: dirname(path),
    manifest: json<PackageManifest>(path),
  }));
}

export interface Project {
  readonly path: string;
  readonly name: string;
  readonly tags: readonly string[];
  readonly targets: Readonly<Record<string, unknown>>;
}

export function projects(): readonly Project[] {
  return FILES.filter((path) => path.endsWith('project.json')).map((path) => ({ path, ...json<Omit<Project, 'path'>>(path) }));
}
