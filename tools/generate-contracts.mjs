#!/usr/bin/env node
// Writes docs/reference/asyncapi.json and docs/reference/schemas/ from the contracts as they were last built
// (node tools/build.mjs). A spec in test/reference fails while the committed files are not current.
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = join(root, 'docs/reference');

const { contractDocuments } = require(join(root, 'dist/test/reference/contract-documents.js'));
const documents = contractDocuments();

await mkdir(join(folder, 'schemas'), { recursive: true });
for (const name of await readdir(join(folder, 'schemas'))) {
  if (!documents.has(`schemas/${name}`)) await rm(join(folder, 'schemas', name));
}
for (const [path, text] of documents) await writeFile(join(folder, path), text);
process.stderr.write(`docs/reference: ${documents.size} files\n`);
