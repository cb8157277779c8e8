import { canonicalJson, Terminal, token, type EventStore, type Host } from '@perdure/kernel';
import { tenantStream, type BehaviourManifest, type BuildManifest, type ToolManifest } from '@perdure/tenant-contract';
import { readRegistration, SCHEMA_VERSION } from './upcasters';

/**
 * Builds by tenant. A build never changes once registered; the newest that hosts a name speaks for the name.
 * Anybody may append with the expected revision; a refused one reads what is new and decides again.
 */

const PAGE = 200;
const ATTEMPTS_MAX = 20;

/** A build as the log has it. */
export interface RegisteredBuild {
  readonly manifest: BuildManifest;
  /** Of its newest registration. */
  readonly registeredAtMs: number;
  /** Agents and workflows that no newer build hosts. */
  readonly newestFor: readonly string[];
}

interface TenantBuilds {
  revision: number;
  readonly builds: Map<string, { readonly manifest: BuildManifest; readonly hash: string; readonly registeredAtMs: number }>;
  readonly newest: Map<string, { readonly behaviour: BehaviourManifest; readonly buildId: string }>;
  /** Tools that pools execute for others, by pool and name: as the newest build that executes them has them. */
  readonly pooled: Map<string, ToolManifest>;
  reading: Promise<void> | undefined;
}

export class StoredBuildCatalogue {
  private readonly tenants = new Map<string, TenantBuilds>();

  constructor(private readonly ports: { readonly store: EventStore; readonly host: Host }) {}

  /**
   * @throws Terminal `BuildConflict` when another manifest has this build id; `ProbeMissing`; `UnknownTool`; `NameNotUnique`
   */
  async register(tenant: string, manifest: BuildManifest): Promise<{ readonly buildId: string; readonly registered: boolean }> {
    check(manifest);
    const hash = this.ports.host.digest.sha256(canonicalJson(manifest));
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const known = await this.refresh(tenant);
      const existing = known.builds.get(manifest.buildId);
      if (existing !== undefined && existing.hash !== hash) throw conflict(manifest.buildId);
      // The newest registration speaks for a name: an old build that comes back says so again.
      const isNewest =
        manifest.behaviours.every((behaviour) => isSame(known.newest.get(behaviour.name)?.behaviour, behaviour)) &&
        executedTools(manifest).every((tool) => isSame(known.pooled.get(pooledKey(tool)), tool));
      if (existing !== undefined && isNewest) return { buildId: manifest.buildId, registered: false };
      if (await this.append(tenant, known.revision, { manifest, hash })) return { buildId: manifest.buildId, registered: true };
    }
    throw new Terminal('BuildNotRegistered', 'Too many registrations at once for this tenant. Start the worker again.');
  }

  async build(tenant: string, buildId: string): Promise<BuildManifest | undefined> {
    const known = this.of(tenant).builds.get(buildId) ?? (await this.refresh(tenant)).builds.get(buildId);
    return known?.manifest;
  }

  async behaviour(tenant: string, name: string): Promise<BehaviourManifest | undefined> {
    return (this.of(tenant).newest.get(name) ?? (await this.refresh(tenant)).newest.get(name))?.behaviour;
  }

  async tool(tenant: string, pool: string, name: string): Promise<ToolManifest | undefined> {
    const key = pooledKey({ pool, name });
    return this.of(tenant).pooled.get(key) ?? (await this.refresh(tenant)).pooled.get(key);
  }

  async behaviours(tenant: string): Promise<readonly BehaviourManifest[]> {
    return [...(await this.refresh(tenant)).newest.values()].map(({ behaviour }) => behaviour);
  }

  /** Every build, the newest first. */
  async builds(tenant: string): Promise<readonly RegisteredBuild[]> {
    const { builds, newest } = await this.refresh(tenant);
    const speaksFor = (of: string): string[] => [...newest].flatMap(([name, { buildId }]) => (buildId === of ? [name] : []));
    return [...builds.values()]
      .map(({ manifest, registeredAtMs }) => ({ manifest, registeredAtMs, newestFor: speaksFor(manifest.buildId) }))
      .sort((left, right) => right.registeredAtMs - left.registeredAtMs);
  }

  /** The tools of that name in all builds, the newest last. */
  async tools(tenant: string, name: string): Promise<readonly ToolManifest[]> {
    const { builds } = await this.refresh(tenant);
    return [...builds.values()].flatMap(({ manifest }) => manifest.tools.filter((tool) => tool.name === name));
  }

  private async append(tenant: string, revision: number, build: { manifest: BuildManifest; hash: string }): Promise<boolean> {
    const { store, host } = this.ports;
    const data = { manifest: build.manifest, manifestHash: build.hash, registeredAtMs: host.clock.nowMs() };
    const result = await store.append(tenantStream.build(token(tenant, 'tenant')), revision < 0 ? 'no-stream' : revision, [
      { id: host.entropy.uuid(), type: 'BuildRegistered', data, metadata: { schemaVersion: SCHEMA_VERSION, tenant } },
    ]);
    return result.outcome === 'appended';
  }

  /** Reads what is new; callers at the same time share one read. */
  private async refresh(tenant: string): Promise<TenantBuilds> {
    const known = this.of(tenant);
    known.reading ??= this.readNew(tenant, known).finally(() => {
      known.reading = undefined;
    });
    await known.reading;
    return known;
  }

  private async readNew(tenant: string, known: TenantBuilds): Promise<void> {
    for (;;) {
      const from = known.revision + 1;
      const page = await this.ports.store.read(tenantStream.build(token(tenant, 'tenant')), {
        direction: 'forward',
        from,
        limit: PAGE,
      });
      for (const event of page) {
        known.revision = event.revision;
        if (event.type === 'BuildRegistered') note(known, readRegistration(event));
      }
      if (page.length < PAGE) return;
    }
  }

  private of(tenant: string): TenantBuilds {
    let known = this.tenants.get(tenant);
    if (known === undefined) {
      known = { revision: -1, builds: new Map(), newest: new Map(), pooled: new Map(), reading: undefined };
      this.tenants.set(tenant, known);
    }
    return known;
  }
}

function note(known: TenantBuilds, registered: ReturnType<typeof readRegistration>): void {
  const { manifest, manifestHash, registeredAtMs } = registered;
  known.builds.set(manifest.buildId, { manifest, hash: manifestHash, registeredAtMs });
  for (const behaviour of manifest.behaviours) known.newest.set(behaviour.name, { behaviour, buildId: manifest.buildId });
  for (const tool of executedTools(manifest)) known.pooled.set(pooledKey(tool), tool);
}

function executedTools({ tools }: BuildManifest): readonly ToolManifest[] {
  return tools.filter(({ pool, declaredOnly }) => pool !== undefined && declaredOnly !== true);
}

function pooledKey({ pool, name }: Pick<ToolManifest, 'pool' | 'name'>): string {
  return `${pool ?? ''} ${name}`;
}

function isSame<T extends BehaviourManifest | ToolManifest>(left: T | undefined, right: T): boolean {
  return left !== undefined && canonicalJson(left) === canonicalJson(right);
}

function check(manifest: BuildManifest): void {
  checkUnique('tool', manifest.tools);
  checkUnique('agent or workflow', manifest.behaviours);
  const tools = new Set(manifest.tools.map((tool) => tool.name));
  for (const { name, effectClass, hasProbe, declaredOnly } of manifest.tools) {
    if (effectClass !== 'probeable' || hasProbe === true || declaredOnly === true) continue;
    throw new Terminal(
      'ProbeMissing',
      `The tool ${name} is probeable and the build holds no probe of it. Give it one, or declare it irreversible.`,
      { details: { tool: name } },
    );
  }
  for (const behaviour of manifest.behaviours) {
    const missing = behaviour.tools.find((tool) => !tools.has(tool));
    if (missing === undefined) continue;
    throw new Terminal('UnknownTool', `The agent ${behaviour.name} names the tool ${missing}, which the build does not hold.`, {
      details: { tool: missing },
    });
  }
}

function checkUnique(what: string, named: readonly { readonly name: string }[]): void {
  const names = named.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice === undefined) return;
  throw new Terminal('NameNotUnique', `The build holds more than one ${what} named ${twice}. Rename all but one.`, {
    details: { name: twice },
  });
}

function conflict(buildId: string): Terminal {
  return new Terminal(
    'BuildConflict',
    `Another manifest is registered under the build id ${buildId}. Give changed code a new build id.`,
    { details: { buildId } },
  );
}
