import type { Bus, ErrorRecord, Host } from '@perdure/kernel';
import { runAddress, workerAddress, type Divergence, type ProgressAnswer, type RecordedRun } from '@perdure/run-contract';
import type { Activation } from './activation';
import type { Tool, Workflow } from './definitions';
import type { GrantKnown } from './grant-check';
import { WorkflowActivation } from './workflow-activation';

/**
 * What a build would make of the recorded part of a run, without doing anything: the very activation of a worker, before an
 * owner that asks it to pause at once and keeps what it reports to itself.
 *
 * 1. Nothing that is recorded runs again, and nothing new is begun: an activation that is to pause defers it.
 * 2. What code does outside of its calls of `ctx` it does here as it does on every replay.
 */
export type DryEnd =
  | { readonly as: 'recorded' }
  | { readonly as: 'diverged'; readonly divergence: Divergence }
  | { readonly as: 'failed'; readonly error: ErrorRecord }
  | { readonly as: 'completed' };

type Entry =
  | { readonly type: 'diverged'; readonly divergence: Divergence }
  | { readonly type: 'failed'; readonly error: ErrorRecord }
  | { readonly type: 'completed' }
  | { readonly type: string };

export interface Candidate {
  readonly workflow: Workflow;
  readonly tools: ReadonlyMap<string, Tool>;
}

export function dryReplay(host: Host, run: RecordedRun, candidate: Candidate): Promise<DryEnd> {
  return new Promise((resolve) => {
    const reported: Entry[] = [];
    const home = {
      host: quiet(host),
      bus: keepingReports(reported),
      workerId: 'dry',
      grants: believingNothing(run.tenant),
      suspended: (activation: Activation) => activation.dispose(),
      closed: () => resolve(endIn(reported)),
    };
    new WorkflowActivation(home, orderFor(run), candidate).start(run.journal);
  });
}

function endIn(reported: readonly Entry[]): DryEnd {
  for (const entry of reported) {
    if (entry.type === 'diverged' && 'divergence' in entry) return { as: 'diverged', divergence: entry.divergence };
    if (entry.type === 'failed' && 'error' in entry) return { as: 'failed', error: entry.error };
    if (entry.type === 'completed' || entry.type === 'continued') return { as: 'completed' };
  }
  return { as: 'recorded' };
}

function orderFor({ tenant, runId, kind, name, pool, input, revision, journal, buildId = 'none' }: RecordedRun) {
  const { workerId } = workerAddress({ tenant, pool, workerId: 'dry' });
  return {
    type: 'activate' as const,
    v: 1 as const,
    ...runAddress(tenant, runId),
    kind,
    name,
    buildId,
    epoch: 1,
    sessionId: workerId,
    revision,
    input,
    segments: 0,
    journal,
    inbound: [],
    instructions: [],
    cancelRequested: false,
    pauseRequested: true,
  };
}

/** Nothing is executed here: no grant is looked at. */
function believingNothing(tenant: string): GrantKnown {
  const manifest = { buildId: 'dry', behaviours: [], tools: [] };
  return { signatures: { verify: () => false }, signerKey: undefined, manifest, tenant };
}

/** An owner that accepts every report, and wants the run back. */
function keepingReports(reported: Entry[]): Bus {
  const request = (_subject: string, payload: string): Promise<string> => {
    const { command } = JSON.parse(payload) as { readonly command: { readonly seq: number; readonly entries: readonly Entry[] } };
    reported.push(...command.entries);
    const value: ProgressAnswer = {
      seq: command.seq,
      revision: 0,
      instructions: [],
      inbound: [],
      cancelRequested: false,
      pauseRequested: true,
      ended: false,
    };
    return Promise.resolve(JSON.stringify({ ok: true, value }));
  };
  const none = { close: () => Promise.resolve() };
  return { request, publish: () => undefined, subscribe: () => none, onReconnect: () => none };
}

function quiet({ incarnation, clock, timers, entropy, digest }: Host): Host {
  return { incarnation, clock, timers, entropy, digest, log: SILENT, crashPoint: silent };
}

const silent = (): void => undefined;
const SILENT: Host['log'] = { info: silent, warn: silent, error: silent };
