'use strict';

/**
 * The dependency rule of ARCHITECTURE.md as data: each project carries one `layer:*` and one `context:*`
 * tag, and both rules must allow an import (they combine with AND). There is no rule for everything: a tag
 * without an entry here fails the tidy test.
 */

/** What each layer may import of ours, and of npm (undefined = anything the root package.json lists). */
const LAYERS = {
  kernel: { ours: [], npm: [] },
  // One may be made of the words of another: what a schedule starts is a run.
  contract: { ours: ['kernel', 'contract'], npm: ['zod'] },
  domain: { ours: ['kernel', 'contract', 'domain'], npm: [] },
  application: { ours: ['kernel', 'contract', 'domain', 'application'], npm: [] },
  // Of other adapters, only those of its own context: the second rule sees to it.
  platform: { ours: ['kernel', 'contract', 'application', 'platform'] },
  sdk: { ours: ['kernel', 'contract', 'platform', 'sdk'] },
  /** Gives ports their adapters, once for every process. */
  runtime: { ours: ['kernel', 'contract', 'application', 'platform'] },
  app: { ours: ['kernel', 'contract', 'domain', 'application', 'platform', 'runtime', 'sdk'] },
  /** Puts whole apps together in one process. */
  assembly: { ours: ['app', 'runtime'] },
  testing: { ours: ['kernel', 'contract', 'domain', 'application', 'platform', 'sdk', 'testing'] },
  /** Measures and torments whole stacks, from outside. */
  proof: { ours: ['kernel', 'contract', 'domain', 'application', 'platform', 'sdk', 'app', 'testing', 'proof'] },
  example: { ours: ['sdk', 'testing'] },
  tooling: { ours: [], npm: ['typescript', '@swc/core'] },
};

/** Contexts with rules of their own: they meet others in contracts only. */
const CORE_CONTEXTS = ['run', 'timer', 'keeper', 'admission', 'tenant', 'approval', 'schedule', 'sandbox'];

/** Technology: each implements ports of the kernel or of the application that owns them. */
const PLATFORM_CONTEXTS = ['bus', 'store', 'blob', 'platform'];

/** Compose or exercise what the others are; nothing but a spec imports them. */
const RIM_CONTEXTS = ['sdk', 'runtime', 'app', 'dev', 'testing', 'proof', 'example', 'tooling'];

const NEVER_IMPORTED = ['app', 'dev', 'example', 'tooling'];

const CONTEXTS = ['kernel', ...CORE_CONTEXTS, ...PLATFORM_CONTEXTS, ...RIM_CONTEXTS];

const layer = (name) => `layer:${name}`;
const context = (name) => `context:${name}`;

/** A spec may also use the test kit, the adapters it is a test of, and the test libraries. */
const SPEC_LAYERS = ['testing', 'platform'];
const SPEC_PACKAGES = ['fast-check', 'luxon'];

function layerConstraint(name, forSpecs) {
  const { ours, npm } = LAYERS[name];
  const allowed = forSpecs ? [...new Set([...ours, ...SPEC_LAYERS])] : ours;
  return {
    sourceTag: layer(name),
    // An empty list would allow everything: a layer that imports nothing of ours may import itself only.
    onlyDependOnLibsWithTags: [...new Set([...allowed, ...(allowed.length === 0 ? [name] : [])])].map(layer),
    ...(npm === undefined ? {} : { allowedExternalImports: forSpecs ? [...npm, ...SPEC_PACKAGES] : npm }),
  };
}

function contextTargets(name) {
  if (name === 'kernel') return [context('kernel')];
  if (name === 'proof') return CONTEXTS.filter((other) => other !== 'dev' && other !== 'tooling').map(context);
  if (name === 'dev') return [context('app'), context('runtime')];
  // Every context keeps promises of its own; what an index of promises is, `keeper` alone says.
  if (CORE_CONTEXTS.includes(name)) return [context('kernel'), context('keeper'), context(name), layer('contract')];
  if (PLATFORM_CONTEXTS.includes(name)) return [context('kernel'), context(name), layer('contract'), layer('application')];
  return CONTEXTS.filter((other) => !NEVER_IMPORTED.includes(other) || other === name).map(context);
}

function contextConstraint(name, forSpecs) {
  const targets = contextTargets(name);
  const allowed = forSpecs ? [...new Set([...targets, ...SPEC_LAYERS.map(layer)])] : targets;
  return { sourceTag: context(name), onlyDependOnLibsWithTags: allowed };
}

function depConstraints({ forSpecs }) {
  return [
    ...Object.keys(LAYERS).map((name) => layerConstraint(name, forSpecs)),
    ...CONTEXTS.map((name) => contextConstraint(name, forSpecs)),
  ];
}

module.exports = { LAYERS, CONTEXTS, CORE_CONTEXTS, depConstraints };
