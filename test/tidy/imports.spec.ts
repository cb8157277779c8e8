import { isBuiltin } from 'node:module';
import { basename, dirname, join, normalize } from 'node:path';
import * as ts from 'typescript';
import { FILES, json, packages, read, type PackageManifest } from './repository';

/** Listed in the root package.json although no file imports them. */
const USED_OTHERWISE: Readonly<Record<string, string>> = {
  '@nestjs/platform-fastify': 'Nest looks for it by name',
  '@nx/js': 'the project graph of TypeScript imports',
  '@swc/jest': 'named in jest.config.js',
  '@types/jest': 'types',
  '@types/luxon': 'types',
  '@types/node': 'types',
  eslint: 'a command',
  jest: 'a command',
  nx: 'a command',
  prettier: 'a command',
  'reflect-metadata': 'a peer of Nest',
  rxjs: 'a peer of Nest',
};

const CODE = FILES.filter((path) => /\.(ts|mjs|cjs|js)$/.test(path) && !path.includes('/public/'));

interface Import {
  readonly from: string;
  readonly specifier: string;
}

const IMPORTS: readonly Import[] = CODE.flatMap((path) =>
  ts.preProcessFile(read(path), true, true).importedFiles.map(({ fileName }) => ({ from: path, specifier: fileName })),
);

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

function isForeign(specifier: string): boolean {
  return !specifier.startsWith('.') && !specifier.startsWith('@perdure/') && !isBuiltin(specifier);
}

/** What a user's machine runs; the rest is for those who build the product. */
function isShipped(path: string): boolean {
  return /^(libs|apps)\//.test(path) && !/\.(spec|world)\.ts$|\/spec-kit\//.test(path) && !path.startsWith('libs/testing/');
}

/** A package, and the entries beside the main one that its manifest names. */
function entriesOf({ name, exports = {} }: PackageManifest): readonly string[] {
  return [name, ...Object.keys(exports).map((entry) => normalize(`${name}/${entry}`))];
}

describe('imports', () => {
  const root = json<PackageManifest>('package.json');
  const runtime = Object.keys(root.dependencies ?? {});
  const listed = [...runtime, ...Object.keys(root.devDependencies ?? {})];
  const foreign = IMPORTS.filter(({ specifier }) => isForeign(specifier));

  it('name only packages that the root package.json lists', () => {
    const phantom = foreign.filter(({ specifier }) => !listed.includes(packageOf(specifier)));
    expect(phantom.map(({ from, specifier }) => `${from}: ${specifier}`)).toEqual([]);
  });

  it('use every package that is listed', () => {
    const used = new Set(foreign.map(({ specifier }) => packageOf(specifier)));
    expect(listed.filter((name) => !used.has(name) && !(name in USED_OTHERWISE))).toEqual([]);
  });

  it('of shipped code need no development dependency', () => {
    const findings = foreign.filter(({ from, specifier }) => isShipped(from) && !runtime.includes(packageOf(specifier)));
    expect(findings.map(({ from, specifier }) => `${from}: ${specifier}`)).toEqual([]);
  });

  it('of our own packages name one that exists, and nothing inside it', () => {
    const names = packages().flatMap(({ manifest }) => entriesOf(manifest));
    const findings = IMPORTS.filter(({ specifier }) => specifier.startsWith('@perdure/') && !names.includes(specifier));
    expect(findings.map(({ from, specifier }) => `${from}: ${specifier}`)).toEqual([]);
  });

  it('leave no source file that nobody imports', () => {
    const imported = new Set(
      IMPORTS.filter(({ specifier }) => specifier.startsWith('.')).map(({ from, specifier }) =>
        normalize(join(dirname(from), specifier)).replace(/\.(ts|js)$/, ''),
      ),
    );
    for (const { folder, manifest } of packages()) {
      for (const built of Object.values(manifest.exports ?? {})) imported.add(join(folder, 'src', basename(built, '.js')));
    }
    // A program of its own is started by its file name.
    const started = CODE.map(read).join('\n');
    const dead = CODE.filter(
      (path) => /^(libs|apps)\/.*\/src\/.*\.ts$/.test(path) && !/(^|\/)(index|main)\.ts$|\.spec\.ts$/.test(path),
    )
      .filter((path) => !imported.has(path.replace(/\.ts$/, '')))
      .filter((path) => !new RegExp(`['"/]${basename(path, '.ts')}\\.(js|ts)['"]`).test(started));
    expect(dead).toEqual([]);
  });
});
