import nx from '@nx/eslint-plugin';
import importX, { createNodeResolver } from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';
import boundaries from './tools/boundaries.cjs';
import maxPositionalParams from './tools/eslint/max-positional-params.cjs';

// Every rule is an error or absent. STYLE.md gives the reason of each.

const TYPESCRIPT = ['**/*.ts'];
/** Specs, and what only specs import: a spec-kit/ folder or a *.world.ts beside them. */
const SPECS = ['**/*.spec.ts', '**/spec-kit/**/*.ts', '**/*.world.ts'];
/** Specs that start servers and processes: they live in real time. */
const OUTER_SPECS = ['**/*.int.spec.ts', '**/*.e2e.spec.ts'];
/** Everything that must behave the same under the simulator as in production. */
const CORE = [
  'libs/kernel/src/**',
  'libs/*/contract/src/**',
  'libs/*/domain/src/**',
  'libs/*/application/src/**',
  'libs/sdk/src/engine/**',
];

const HOST = 'This comes through the Host port (kernel/host.ts).';
const NODE_GLOBALS = ['process', 'setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval', 'clearImmediate'];
const OTHER_GLOBALS = ['performance', 'crypto', 'fetch', 'require', '__dirname', '__filename', 'globalThis', 'global'];

const AMBIENT_SYNTAX = [
  { selector: 'NewExpression[callee.name="Date"][arguments.length=0]', message: `The wall clock is ambient. ${HOST}` },
  { selector: 'CallExpression[callee.name="Date"]', message: `The wall clock is ambient. ${HOST}` },
];

const AMBIENT_PROPERTIES = [
  { object: 'Date', property: 'now', message: HOST },
  { object: 'Math', property: 'random', message: HOST },
  { object: 'AbortSignal', property: 'timeout', message: HOST },
];

const UNRUN_SPECS = ['describe', 'it', 'test'].flatMap((object) => [
  { object, property: 'only', message: 'The other specs would silently not run.' },
  { object, property: 'skip', message: 'A spec that does not run is deleted or repaired.' },
  { object, property: 'todo', message: 'Write it, or leave it.' },
]);

const NO_MODULE_MOCKS = [
  { object: 'jest', property: 'mock', message: 'Use the memory adapter that passes the contract suite.' },
  { object: 'jest', property: 'doMock', message: 'Use the memory adapter that passes the contract suite.' },
];

const NO_ENVIRONMENT = [{ object: 'process', property: 'env', message: 'Configuration is read in apps/ and passed in.' }];

function moduleBoundaries(forSpecs) {
  return [
    'error',
    {
      depConstraints: boundaries.depConstraints({ forSpecs }),
      // The test kit imports what it tests, and specs import the test kit; the layer rule keeps code out of this.
      ignoredCircularDependencies: [
        ['*', 'tag:layer:testing'],
        ['tag:layer:testing', '*'],
      ],
      checkNestedExternalImports: true,
      // The tidy test examines these very rules.
      allow: ['../../tools/boundaries.cjs'],
    },
  ];
}

export default tseslint.config(
  { ignores: ['**/dist/**', '**/node_modules/**', '**/.perdure/**', '.nx/**', 'coverage/**', '**/public/**'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: TYPESCRIPT,
    languageOptions: {
      parser: tseslint.parser,
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    plugins: {
      '@typescript-eslint': tseslint.plugin,
      '@nx': nx,
      'import-x': importX,
      perdure: { rules: { 'max-positional-params': maxPositionalParams } },
    },
    settings: {
      'import-x/resolver-next': [createNodeResolver({ extensions: ['.ts', '.js', '.json'] })],
      'import-x/parsers': { '@typescript-eslint/parser': ['.ts'] },
      'import-x/external-module-folders': ['node_modules'],
    },
    rules: {
      '@nx/enforce-module-boundaries': moduleBoundaries(false),
      'import-x/no-cycle': ['error', { ignoreExternal: true }],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: { arguments: false, attributes: false } }],
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/only-throw-error': ['error', { allowRethrowing: true }],
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { prefer: 'type-imports', fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true },
      ],
      '@typescript-eslint/no-non-null-assertion': 'error',
      'perdure/max-positional-params': 'error',
      'max-lines': ['error', { max: 400 }],
      'max-lines-per-function': ['error', { max: 70 }],
      'no-console': 'error',
      'no-restricted-properties': ['error', ...UNRUN_SPECS, ...NO_MODULE_MOCKS],
      'prefer-const': 'error',
      'no-var': 'error',
      eqeqeq: 'error',
      'no-empty': 'error',
    },
  },
  {
    // An inner barrel hides who owns a name, and breeds cycles: one index.ts a package.
    files: ['libs/**/src/**/*.ts', 'apps/**/src/**/*.ts'],
    ignores: ['libs/**/src/index.ts', 'apps/**/src/index.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        { selector: 'ExportAllDeclaration', message: 'No inner barrels: import the file that owns the name.' },
      ],
    },
  },
  {
    files: ['libs/**/*.ts'],
    ignores: [...OUTER_SPECS, 'libs/testing/**'],
    rules: { 'no-restricted-properties': ['error', ...UNRUN_SPECS, ...NO_MODULE_MOCKS, ...NO_ENVIRONMENT] },
  },
  {
    // An SDK reads the environment of the program that uses it, at its outermost edge; the engine does not.
    files: ['libs/sdk/src/*.ts', 'libs/sdk/src/adapters/**/*.ts'],
    rules: { 'no-restricted-properties': ['error', ...UNRUN_SPECS, ...NO_MODULE_MOCKS] },
  },
  {
    files: CORE,
    ignores: OUTER_SPECS,
    rules: {
      'no-restricted-globals': ['error', ...[...NODE_GLOBALS, ...OTHER_GLOBALS].map((name) => ({ name, message: HOST }))],
      'no-restricted-properties': ['error', ...UNRUN_SPECS, ...NO_MODULE_MOCKS, ...AMBIENT_PROPERTIES],
      'no-restricted-syntax': [
        'error',
        ...AMBIENT_SYNTAX,
        { selector: 'ImportExpression', message: 'The core loads nothing at run time.' },
      ],
    },
  },
  {
    files: CORE,
    ignores: SPECS,
    rules: {
      'no-restricted-imports': ['error', { patterns: [{ regex: '^node:', message: HOST }], paths: bareNodeModules() }],
    },
  },
  {
    // A decider needs the words of its contract, never its parsers: zod stays at the borders.
    files: ['libs/*/domain/src/**'],
    ignores: SPECS,
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          patterns: [
            { regex: '^@perdure/.+-contract$', allowTypeImports: true, message: 'A domain imports contracts as types only.' },
          ],
        },
      ],
    },
  },
  {
    files: SPECS,
    rules: {
      '@nx/enforce-module-boundaries': moduleBoundaries(true),
      // The callback of describe() is a folder, not a function.
      'max-lines-per-function': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
  { files: ['libs/testing/src/contract-suites/**'], rules: { 'max-lines-per-function': 'off' } },
  {
    // Nest reads the classes of constructor parameters at run time: a type import would erase them.
    files: ['apps/**/*.ts', 'libs/platform/nest-runtime/**/*.ts'],
    rules: { '@typescript-eslint/consistent-type-imports': 'off' },
  },
  { files: ['apps/cli/**/*.ts', 'test/bench/**/*.ts', 'test/chaos/**/*.ts', 'examples/**/*.ts'], rules: { 'no-console': 'off' } },
  {
    files: ['**/*.mjs', '**/*.cjs', '**/*.js'],
    plugins: { perdure: { rules: { 'max-positional-params': maxPositionalParams } } },
    rules: {
      'perdure/max-positional-params': 'error',
      'max-lines': ['error', { max: 400 }],
      'max-lines-per-function': ['error', { max: 70 }],
      'no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      'prefer-const': 'error',
      'no-var': 'error',
      eqeqeq: 'error',
      'no-empty': 'error',
    },
  },
);

/** `import 'fs'` is `import 'node:fs'` in disguise. */
function bareNodeModules() {
  const names = ['fs', 'fs/promises', 'path', 'os', 'crypto', 'http', 'https', 'http2', 'net', 'tls', 'dns', 'child_process'];
  const more = [
    'cluster',
    'worker_threads',
    'timers',
    'timers/promises',
    'perf_hooks',
    'stream',
    'zlib',
    'events',
    'util',
    'url',
    'process',
    'async_hooks',
  ];
  return [...names, ...more].map((name) => ({ name, message: HOST }));
}
