import type { OpenPromise } from '@perdure/run-contract';
import type { OpenRun } from '../run.state';

/** What is known of the world around a run when somebody asks how it stands. */
export interface Surroundings {
  /** A live worker of its pool hosts the build that it is pinned to, or one that takes its runs over; undefined = too early to say. */
  readonly buildIsHosted?: boolean | undefined;
}

/** What a pinned run waits for before it goes on; nothing, for one that any build may take. */
export function waitForBuild(
  { pin, request }: Pick<OpenRun, 'pin' | 'request'>,
  { buildIsHosted }: Surroundings,
): Pick<OpenPromise, 'detail' | 'closedBy'> {
  if (pin === undefined) return {};
  const { pool, name } = request;
  if (buildIsHosted === false) {
    return {
      detail: `a worker of build ${pin} in pool ${pool}; none is connected`,
      closedBy: `a worker of build ${pin} connects: start that build of ${name} again; or somebody lets another build go on with it, when \`perdure deploy check\` finds no difference: perdure run repin <run> --build B (see perdure builds list)`,
    };
  }
  return {
    detail: `a free slot of a worker of build ${pin} in pool ${pool}`,
    closedBy: `a worker of build ${pin}, or of one compatible with it, that hosts ${name} has a free slot, and it is this run's turn`,
  };
}
