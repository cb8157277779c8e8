#!/usr/bin/env node
// Transpiles the repository; types are the business of `tsc` alone. Each workspace package is built from
// src/ to the dist/ beside it, test/ and examples/ to dist/test and dist/examples. Specs are left out.
//
// 1. An output is replaced by rename, so builds that run at the same time never show half a file.
// 2. A source is stale when its size or time differs from the manifest, or its output is missing.
// 3. An output without a source is deleted: no process may load code that is no longer there.
import { copyFile, mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const MANIFEST = join(root, 'node_modules/.cache/perdure/build.json');
const SKIPPED_FOLDERS = new Set(['node_modules', 'dist']);
const PARALLEL = 32;

async function entriesOf(folder) {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return [];
    throw error;
  }
}

async function filesUnder(folder, into = []) {
  const entries = await entriesOf(folder);
  for (const entry of entries) {
    if (entry.name.startsWith('.')) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      if (!SKIPPED_FOLDERS.has(entry.name)) await filesUnder(path, into);
    } else if (entry.isFile()) {
      into.push(path);
    }
  }
  return into;
}

/** Folders under `folder` that hold a package.json: they do not nest. */
async function packagesUnder(folder, into = []) {
  const entries = await entriesOf(folder);
  if (entries.some((entry) => entry.name === 'package.json')) {
    into.push(folder);
    return into;
  }
  const folders = entries.filter((entry) => entry.isDirectory() && !SKIPPED_FOLDERS.has(entry.name));
  await Promise.all(folders.map((entry) => packagesUnder(join(folder, entry.name), into)));
  return into;
}

async function trees() {
  const packages = [...(await packagesUnder(join(root, 'libs'))), ...(await packagesUnder(join(root, 'apps')))];
  return [
    ...packages.map((folder) => ({ from: join(folder, 'src'), to: join(folder, 'dist') })),
    { from: join(root, 'test'), to: join(root, 'dist/test') },
    { from: join(root, 'examples'), to: join(root, 'dist/examples') },
  ];
}

/** Undefined for what is not built. Anything but TypeScript is copied as it is. */
function outputOf(source, tree) {
  if (/\.(spec|d)\.ts$/.test(source)) return undefined;
  return join(tree.to, relative(tree.from, source)).replace(/\.ts$/, '.js');
}

async function planTree(tree) {
  const sources = await filesUnder(tree.from);
  const planned = sources.map(async (source) => {
    const output = outputOf(source, tree);
    if (output === undefined) return undefined;
    const { size, mtimeMs } = await stat(source);
    return { source, output, stamp: `${size}:${mtimeMs}` };
  });
  return (await Promise.all(planned)).filter((file) => file !== undefined);
}

async function exists(path) {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function readManifest() {
  try {
    return JSON.parse(await readFile(MANIFEST, 'utf8'));
  } catch {
    return {};
  }
}

async function replaceFile(path, text) {
  const temporary = `${path}.${process.pid}.tmp`;
  await writeFile(temporary, text);
  await rename(temporary, path);
}

async function transpile({ source, output }, swc, options) {
  const text = await readFile(source, 'utf8');
  const { code, map } = await swc.transform(text, {
    ...options,
    filename: source,
    sourceFileName: relative(dirname(output), source).split(sep).join('/'),
    sourceMaps: true,
    inlineSourcesContent: false,
    // A real import() stays one: it is how code of users, which may be an ES module, is loaded.
    module: { ...options.module, ignoreDynamic: true },
  });
  await replaceFile(`${output}.map`, map);
  await replaceFile(output, code);
}

async function buildFiles(files, options) {
  const swc = require('@swc/core');
  await Promise.all([...new Set(files.map((file) => dirname(file.output)))].map((folder) => mkdir(folder, { recursive: true })));
  const failures = [];
  const queue = [...files];
  const worker = async () => {
    for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
      try {
        if (file.source.endsWith('.ts')) await transpile(file, swc, options);
        else await copyFile(file.source, file.output);
      } catch (error) {
        failures.push({ file, error });
      }
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  return failures;
}

async function deleteStrays(tree, wanted) {
  const outputs = await filesUnder(tree.to);
  const strays = outputs.filter((output) => !wanted.has(output.replace(/\.map$/, '')) && !output.endsWith('.tmp'));
  await Promise.all(strays.map((stray) => rm(stray, { force: true })));
  return strays.length;
}

async function main() {
  const startedAt = performance.now();
  const { swcOptions } = require('./swc-options.cjs');
  const version = JSON.parse(await readFile(join(root, 'node_modules/@swc/core/package.json'), 'utf8')).version;
  const recipe = `${version} ${JSON.stringify(swcOptions)} ${(await stat(fileURLToPath(import.meta.url))).mtimeMs}`;
  const force = process.argv.includes('--force');
  const allTrees = await trees();
  const plans = await Promise.all(allTrees.map(planTree));
  const files = plans.flat();

  const manifest = await readManifest();
  const known = !force && manifest.recipe === recipe ? manifest.files : {};
  const fresh = await Promise.all(
    files.map(async (file) => known[relative(root, file.source)] === file.stamp && (await exists(file.output))),
  );
  const stale = files.filter((_, index) => !fresh[index]);
  const wanted = new Set(files.map((file) => file.output));
  const [failures, deleted] = await Promise.all([
    stale.length === 0 ? [] : buildFiles(stale, swcOptions),
    Promise.all(allTrees.map((tree) => deleteStrays(tree, wanted))),
  ]);

  const failed = new Set(failures.map(({ file }) => file));
  for (const { file, error } of failures) process.stderr.write(`${relative(root, file.source)}: ${error.message}\n`);
  const strays = deleted.reduce((sum, count) => sum + count, 0);
  if (stale.length > 0 || strays > 0) {
    const stamps = files.filter((file) => !failed.has(file)).map((file) => [relative(root, file.source), file.stamp]);
    await mkdir(dirname(MANIFEST), { recursive: true });
    await replaceFile(MANIFEST, JSON.stringify({ recipe, files: Object.fromEntries(stamps) }));
    const tookMs = Math.round(performance.now() - startedAt);
    process.stderr.write(`build: ${stale.length - failed.size} of ${files.length} files, ${strays} deleted, ${tookMs} ms\n`);
  }
  return failed.size === 0 ? 0 : 1;
}

process.exitCode = await main();
