import { canonicalJson, type ErrorRecord, type Host } from '@perdure/kernel';
import type { RunCommandOf, RunLimits } from '@perdure/run-contract';
import type { KnownCode, OpenRun, RequestRun } from '@perdure/run-domain';
import type { BehaviourManifest, BuildManifest, ToolManifest } from '@perdure/tenant-contract';
import type { BuildCatalogue, InputValidator } from './ports';

/** What the owner knows of the code that runs consist of; every build is immutable, so knowing it once is enough. */

const KNOWN_MAX = 10_000;
const ISSUES_SHOWN = 5;
const NAMES_SHOWN = 20;

export const NO_CODE: KnownCode = { behaviour: undefined, tool: () => undefined };

interface CodeBookPorts {
  readonly builds: BuildCatalogue;
  readonly validator: InputValidator;
  readonly host: Pick<Host, 'digest'>;
}

export class CodeBook {
  private readonly cache = new Map<string, KnownCode>();

  constructor(private readonly ports: CodeBookPorts) {}

  known(tenant: string, buildId: string, name: string): KnownCode | undefined {
    return this.cache.get(`${tenant} ${buildId} ${name}`);
  }

  async of(tenant: string, buildId: string, name: string): Promise<KnownCode> {
    const cached = this.known(tenant, buildId, name);
    if (cached !== undefined) return cached;
    const build = await this.ports.builds.build(tenant, buildId);
    if (build === undefined) return NO_CODE;
    // What other pools execute, newer builds of theirs may have changed: it is looked up anew.
    if (build.tools.some(({ pool }) => pool !== undefined)) return this.withRegistrations(tenant, build, name);
    const code = codeIn(build, name);
    if (this.cache.size >= KNOWN_MAX) this.cache.clear();
    this.cache.set(`${tenant} ${buildId} ${name}`, code);
    return code;
  }

  private async withRegistrations(tenant: string, build: BuildManifest, name: string): Promise<KnownCode> {
    const tools = await Promise.all(build.tools.map((tool) => this.registered(tenant, tool)));
    return codeIn({ ...build, tools }, name);
  }

  /** As the pool that executes it has registered it. Until one has, the worst is assumed. */
  private async registered(tenant: string, declared: ToolManifest): Promise<ToolManifest> {
    const { name, pool } = declared;
    if (pool === undefined) return declared;
    return (await this.ports.builds.tool(tenant, pool, name)) ?? { ...declared, effectClass: 'irreversible' };
  }

  /** The run's own code, and the tools as the build of the worker that executes them has them. */
  async ofExecutor(tenant: string, run: OpenRun, buildId: string): Promise<KnownCode> {
    const { name } = run.request;
    const held = run.status === 'active' ? await this.of(tenant, run.activation.buildId, name) : NO_CODE;
    const { behaviour } = held.behaviour === undefined ? await this.newest(tenant, name) : held;
    const build = await this.ports.builds.build(tenant, buildId);
    return { behaviour, tool: build === undefined ? NO_CODE.tool : codeIn(build, name).tool };
  }

  /** As the newest build that hosts the name has it; its tools are not looked at. */
  async newest(tenant: string, name: string): Promise<KnownCode> {
    const behaviour = await this.ports.builds.behaviour(tenant, name);
    return behaviour === undefined ? NO_CODE : { behaviour, tool: () => undefined };
  }

  /** What is asked for, completed by what its author registered; or why it cannot be run. */
  async request(tenant: string, command: RunCommandOf<'StartRun'>): Promise<RequestRun | { readonly error: ErrorRecord }> {
    const { name, input } = command;
    const behaviour = await this.ports.builds.behaviour(tenant, name);
    if (behaviour === undefined) return { error: await this.unknownAgent(tenant, name) };
    const issues = behaviour.inputSchema === undefined ? [] : this.ports.validator.issues(behaviour.inputSchema, input);
    if (issues.length > 0) return { error: invalidInput(name, issues) };
    const pool = command.pool ?? behaviour.pool;
    // Of what was asked, not of what today's build makes of it: a repeat after a deployment is still a repeat.
    const asked = { name, input, pool: command.pool, deadlineMs: command.deadlineMs, limits: command.limits };
    const requestHash = this.ports.host.digest.sha256(canonicalJson(asked));
    const bounds = { deadlineMs: command.deadlineMs ?? behaviour.limits.wallTimeMs, ...limitsOf(behaviour, command.limits) };
    const parent = command.parent === undefined ? {} : { parent: command.parent };
    return { type: 'RequestRun', kind: behaviour.kind, name, pool, input: input ?? null, requestHash, ...bounds, ...parent };
  }

  private async unknownAgent(tenant: string, name: string): Promise<ErrorRecord> {
    const known = (await this.ports.builds.behaviours(tenant)).map((behaviour) => behaviour.name);
    const hint =
      known.length === 0 ? 'No worker has registered anything yet' : `Known: ${known.slice(0, NAMES_SHOWN).join(', ')}`;
    const message = `No worker of tenant ${tenant} has registered an agent or workflow named ${JSON.stringify(name)}. ${hint}. Start a worker that hosts it.`;
    return { code: 'UnknownAgent', message, reaction: 'terminal', details: { name, known: known.slice(0, NAMES_SHOWN) } };
  }
}

/** Those of its author, as whoever starts it wants them. */
function limitsOf({ kind, limits: declared }: BehaviourManifest, asked: RunLimits | undefined): { readonly limits?: RunLimits } {
  const { wallTimeMs: _deadline, turnsMax, ...rest } = declared;
  const limits: RunLimits = { ...rest, ...(kind === 'agent' ? { turnsMax } : {}), ...asked };
  const { onLimit: _how, ...bounds } = limits;
  return Object.values(bounds).some((bound) => bound !== undefined) ? { limits } : {};
}

function codeIn(build: BuildManifest, name: string): KnownCode {
  const tools = new Map(build.tools.map((tool) => [tool.name, tool]));
  const behaviour: BehaviourManifest | undefined = build.behaviours.find((candidate) => candidate.name === name);
  const { compatibleWith } = build;
  return { behaviour, tool: (tool) => tools.get(tool), ...(compatibleWith === undefined ? {} : { compatibleWith }) };
}

function invalidInput(name: string, issues: readonly string[]): ErrorRecord {
  const message = `The input does not fit the schema of ${name}: ${issues.slice(0, ISSUES_SHOWN).join('; ')}.`;
  return { code: 'InvalidInput', message, reaction: 'terminal', details: { issues: issues.slice(0, ISSUES_SHOWN) } };
}
