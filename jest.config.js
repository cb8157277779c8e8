'use strict';

const { existsSync, readFileSync } = require('node:fs');
const { join } = require('node:path');
const { swcOptions } = require('./tools/swc-options.cjs');

/** One list of packages: what TypeScript resolves, jest resolves, to the source and never to dist. */
function moduleNameMapper() {
  const { paths } = JSON.parse(readFileSync(join(__dirname, 'tsconfig.base.json'), 'utf8')).compilerOptions;
  return Object.fromEntries(
    Object.entries(paths).map(([name, [target]]) => [
      `^${name.replace(/[/.]/g, '\\$&').replace('*', '([^/]+)')}$`,
      `<rootDir>/${target.replace('*', '$1')}`,
    ]),
  );
}

const shared = {
  rootDir: __dirname,
  roots: ['libs', 'apps', 'test', 'tools', 'examples']
    .filter((folder) => existsSync(join(__dirname, folder)))
    .map((folder) => `<rootDir>/${folder}`),
  testEnvironment: 'node',
  transform: { '^.+\\.ts$': ['@swc/jest', swcOptions] },
  moduleFileExtensions: ['ts', 'js', 'cjs', 'mjs', 'json', 'node'],
  moduleNameMapper: moduleNameMapper(),
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/(libs|apps)/.*/dist/', '<rootDir>/\\.perdure/'],
};

const IGNORED = ['/node_modules/', '/dist/'];

/** The suffix of a spec tells its cost. */
function project(displayName, timeoutMs, selection) {
  return {
    ...shared,
    displayName,
    globals: { SPEC_TIMEOUT_MS: timeoutMs },
    setupFilesAfterEnv: ['<rootDir>/tools/jest-timeout.cjs'],
    testPathIgnorePatterns: IGNORED,
    ...selection,
  };
}

module.exports = {
  // Integration and end-to-end specs start servers and processes: two at a time is what two cores bear.
  maxWorkers: 2,
  projects: [
    project('unit', 10_000, {
      testMatch: ['**/*.spec.ts'],
      testPathIgnorePatterns: [...IGNORED, '\\.(int|sim|e2e)\\.spec\\.ts$'],
    }),
    project('sim', 120_000, { testMatch: ['**/*.sim.spec.ts'] }),
    project('int', 60_000, { testMatch: ['**/*.int.spec.ts'] }),
    project('e2e', 180_000, { testMatch: ['**/*.e2e.spec.ts'] }),
  ],
};
