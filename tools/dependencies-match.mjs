// Exits 0 when node_modules holds what package-lock.json asks for. npm leaves a record of what it
// installed; comparing it spares a second install after an `npm install` by hand.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

function packagesOf(path) {
  try {
    return JSON.parse(readFileSync(join(root, path), 'utf8')).packages;
  } catch {
    return {};
  }
}

const wanted = packagesOf('package-lock.json');
const installed = packagesOf('node_modules/.package-lock.json');

function matches([path, entry]) {
  if (!path.startsWith('node_modules/')) return true;
  if (entry.link === true) return existsSync(join(root, path, 'package.json'));
  const found = installed[path];
  if (found === undefined) return entry.optional === true || entry.peer === true;
  return found.version === entry.version && found.integrity === entry.integrity;
}

process.exitCode = Object.keys(installed).length > 0 && Object.entries(wanted).every(matches) ? 0 : 1;
