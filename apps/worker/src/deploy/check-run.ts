import type { Host } from '@perdure/kernel';
import type { RecordedRun } from '@perdure/run-contract';
import { dryReplay, type Workflow } from '@perdure/sdk';
import type { CandidateBuild } from './candidate';
import { checkAgent } from './check-agent';
import { different, SAME, type Verdict } from './verdict';

/** How the candidate would go on with a live run. */
export async function checkRun(host: Host, run: RecordedRun, candidate: CandidateBuild): Promise<Verdict> {
  const { kind, name, pool } = run;
  const behaviour = kind === 'agent' ? candidate.agents.get(name) : candidate.workflows.get(name);
  if (behaviour === undefined) {
    const isOther = candidate.agents.has(name) || candidate.workflows.has(name);
    if (!isOther && candidate.buildIds[pool] === undefined) return { is: 'elsewhere' };
    return different('begin', `the ${kind} ${name}`, isOther ? `something else of that name` : `no ${kind} of that name`);
  }
  if (behaviour.pool !== pool) return different('begin', `${name} in pool ${pool}`, `${name} in pool ${behaviour.pool}`);
  return behaviour.kind === 'agent' ? checkAgent(run, behaviour) : checkWorkflow(host, run, { workflow: behaviour, candidate });
}

async function checkWorkflow(
  host: Host,
  run: RecordedRun,
  { workflow, candidate }: { readonly workflow: Workflow; readonly candidate: CandidateBuild },
): Promise<Verdict> {
  const end = await dryReplay(host, run, { workflow, tools: candidate.tools });
  switch (end.as) {
    case 'diverged':
      return { is: 'different', at: end.divergence };
    case 'failed':
      return different('end', 'code that goes on', `the run fails: ${end.error.code}: ${end.error.message.split('\n')[0]}`);
    case 'completed':
      // What is active may have come to its end this very moment; what waits has not.
      return run.status === 'suspended' ? different('end', 'code that waits', 'the run completes') : SAME;
    case 'recorded':
      return SAME;
  }
}
