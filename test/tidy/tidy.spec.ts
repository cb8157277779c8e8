import { statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { CONTEXTS, LAYERS, depConstraints } from '../../tools/boundaries.cjs';
import { FILES, ROOT, has, json, packages, projects, read } from './repository';

/** What no lint sees. A finding is one line of text that says where and what. */
const NONE: readonly string[] = [];

const FILE_SIZE_MAX_BYTES = 400_000;
const LIB_README_LINES_MAX = 80;
const ARCHITECTURE_LINES_MAX = 200;

function lineCount(path: string): number {
  return read(path).split('\n').length;
}

describe('tags', () => {
  const known = { layer: Object.keys(LAYERS), context: [...CONTEXTS] };

  it.each(['layer', 'context'] as const)('gives every project exactly one known %s', (axis) => {
    const findings = projects().flatMap(({ path, tags }) => {
      const values = tags.filter((tag) => tag.startsWith(`${axis}:`)).map((tag) => tag.slice(axis.length + 1));
      return values.length === 1 && known[axis].includes(values[0] ?? '')
        ? []
        : [`${path}: ${axis} is ${values.join(' and ') || 'missing'}`];
    });
    expect(findings).toEqual(NONE);
  });

  it('has no other kind of tag', () => {
    const findings = projects().flatMap(({ path, tags }) =>
      tags.filter((tag) => !/^(layer|context):/.test(tag)).map((tag) => `${path}: ${tag}`),
    );
    expect(findings).toEqual(NONE);
  });

  it.each([true, false])('has one rule for each tag and none that allows everything (for specs: %s)', (forSpecs) => {
    const rules = depConstraints({ forSpecs });
    const sources = rules.map(({ sourceTag }) => sourceTag).sort();
    expect(sources).toEqual(
      [...known.layer.map((name) => `layer:${name}`), ...known.context.map((name) => `context:${name}`)].sort(),
    );
    const targets = rules.flatMap((rule) => rule.onlyDependOnLibsWithTags);
    expect(targets.filter((tag) => tag.includes('*') || !/^(layer|context):[a-z]+$/.test(tag))).toEqual(NONE);
    expect(rules.filter((rule) => rule.onlyDependOnLibsWithTags.length === 0)).toEqual([]);
  });

  it('lets arrows point inward only', () => {
    const inward = ['kernel', 'contract', 'domain', 'application', 'platform', 'runtime', 'app', 'assembly'];
    for (const rule of depConstraints({ forSpecs: false })) {
      const from = inward.indexOf(rule.sourceTag.replace('layer:', ''));
      if (!rule.sourceTag.startsWith('layer:') || from === -1) continue;
      const targets = rule.onlyDependOnLibsWithTags.map((tag) => inward.indexOf(tag.replace('layer:', '')));
      expect({ rule: rule.sourceTag, outward: targets.filter((target) => target > from) }).toEqual({
        rule: rule.sourceTag,
        outward: [],
      });
    }
  });
});

describe('packages', () => {
  const lock = json<{ packages: Record<string, { link?: boolean; resolved?: string }> }>('package-lock.json').packages;
  const paths = json<{ compilerOptions: { paths: Record<string, string[]> } }>('tsconfig.base.json').compilerOptions.paths;

  it('each have a README and a project with lint and test', () => {
    const findings = packages().flatMap(({ folder }) => {
      const missing = ['README.md', 'project.json', 'src'].filter((name) => !has(join(folder, name)));
      return missing.map((name) => `${folder}: no ${name}`);
    });
    const targets = projects()
      .filter(({ name }) => name !== 'workspace')
      .flatMap(({ path, targets: found }) =>
        ['lint', 'test'].filter((name) => !(name in found)).map((name) => `${path}: no ${name}`),
      );
    expect([...findings, ...targets]).toEqual(NONE);
  });

  it('are linked by npm and, unless an app, found by the compiler', () => {
    const findings = packages().flatMap(({ folder, manifest }) => {
      const linked = lock[`node_modules/${manifest.name}`]?.link === true;
      const entry = `${folder}/src/index.ts`;
      const found = Object.values(paths).some(([target]) => {
        const [before = '', after = ''] = (target ?? '').split('*');
        return target === entry || ((target ?? '').includes('*') && entry.startsWith(before) && entry.endsWith(after));
      });
      return [
        ...(linked ? [] : [`${folder}: not in the lock file; run npm install --ignore-scripts`]),
        ...(found || folder.startsWith('apps/') ? [] : [`${folder}: not in the paths of tsconfig.base.json`]),
      ];
    });
    expect(findings).toEqual(NONE);
  });

  it('come from any registry: the lock file names none', () => {
    expect(
      Object.entries(lock)
        .filter(([, { resolved }]) => resolved?.includes('://'))
        .map(([path]) => path),
    ).toEqual(NONE);
  });

  it('carry unique names', () => {
    const names = [...packages().map(({ manifest }) => manifest.name), ...projects().map(({ name }) => `project ${name}`)];
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual(NONE);
  });
});

describe('text', () => {
  const texts = FILES.filter(
    (path) => /\.(ts|mjs|cjs|js|sh|md|json|ya?ml|html|css)$/.test(path) || /^(perdure|\.ci\/run)$/.test(path),
  );

  // Spelt in two pieces so that this file does not find itself.
  const banned = [
    {
      word: new RegExp(`(^|[\\s*#/])(${['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X', 'HA' + 'CK'].join('|')})\\b`),
      why: 'do it, or leave it',
    },
    {
      word: new RegExp(`(^|[\\s"'(\`])/(${['wo' + 'rk/(main|shared)', 'tmp/br' + 'ief', 'ho' + 'me/[a-z]'].join('|')})`),
      why: 'a path of one machine',
    },
    { word: new RegExp(`reg` + `istry\\.npmjs|ver` + `daccio|art` + `ifactory`), why: 'a registry host' },
    { word: new RegExp(`esl` + `int-disable(?!.* -- )`), why: 'an exception without its reason' },
    { word: new RegExp(`@ts-` + `(ignore|nocheck)`), why: 'the compiler is right' },
  ];

  it('holds no word that promises, hides or names a machine', () => {
    const findings = texts
      .filter((path) => path !== 'package-lock.json')
      .flatMap((path) =>
        read(path)
          .split('\n')
          .flatMap((line, index) =>
            banned.filter(({ word }) => word.test(line)).map(({ why }) => `${path}:${index + 1}: ${why}`),
          ),
      );
    expect(findings).toEqual(NONE);
  });

  it('stays within the sizes that a reader can bear', () => {
    // These are written by programs, for programs.
    const generated = ['package-lock.json', 'docs/reference/asyncapi.json'];
    const large = FILES.filter((path) => !generated.includes(path) && statSync(join(ROOT, path)).size > FILE_SIZE_MAX_BYTES);
    const long = packages()
      .map(({ folder }) => `${folder}/README.md`)
      .filter((path) => has(path) && lineCount(path) > LIB_README_LINES_MAX);
    const wide = has('ARCHITECTURE.md') && lineCount('ARCHITECTURE.md') > ARCHITECTURE_LINES_MAX ? ['ARCHITECTURE.md'] : [];
    expect([...large, ...long, ...wide]).toEqual(NONE);
  });

  it('links only to what exists', () => {
    const findings = FILES.filter((path) => path.endsWith('.md')).flatMap((path) =>
      [
        ...read(path)
          .replace(/```[\s\S]*?```/g, '')
          .matchAll(/\]\(([^)\s#]+)(#[^)]*)?\)/g),
      ]
        .map(([, target = '']) => target)
        .filter((target) => !/^[a-z]+:/.test(target))
        .filter((target) => !has(target.startsWith('/') ? `.${target}` : normalize(join(dirname(path), target))))
        .map((target) => `${path}: ${target}`),
    );
    expect(findings).toEqual(NONE);
  });

  it('numbers each decision once and without gaps, and states its status', () => {
    const records = FILES.filter((path) => /^docs\/adr\/\d{4}-.*\.md$/.test(path));
    const numbers = records.map((path) => Number(path.slice('docs/adr/'.length, 'docs/adr/'.length + 4)));
    const first = numbers[0] ?? 1;
    expect(numbers).toEqual(numbers.map((_, index) => first + index));
    expect(records.filter((path) => !/status/i.test(read(path)))).toEqual(NONE);
  });
});
