import type { WorkerRegistry } from '@perdure/run-application';
import type { RegisteredBuild, StoredBuildCatalogue } from '@perdure/tenant-application';
import type { Heartbeat } from '@perdure/run-contract';
import type { BuildLine, BuildsDto } from './builds.dto';
import type { RunDirectory } from './run-directory';

interface BuildSources {
  readonly catalogue: Pick<StoredBuildCatalogue, 'builds'>;
  readonly directory: Pick<RunDirectory, 'pinned' | 'isComplete'>;
  readonly workers: Pick<WorkerRegistry, 'beats' | 'hasListened'>;
}

/** Which builds there are, who serves them, and which runs need them. */
export class BuildList {
  constructor(private readonly sources: BuildSources) {}

  async of(tenant: string): Promise<BuildsDto> {
    const { catalogue, directory, workers } = this.sources;
    const builds = await catalogue.builds(tenant);
    const beats = [...workers.beats()].filter((beat) => beat.tenant === tenant);
    const pinned = directory.pinned(tenant);
    return {
      complete: directory.isComplete && workers.hasListened,
      builds: builds.map((build) => lineOf(build, pinned.get(build.manifest.buildId) ?? 0, beats)),
    };
  }
}

function lineOf({ manifest, registeredAtMs, newestFor }: RegisteredBuild, runs: number, beats: readonly Heartbeat[]): BuildLine {
  const { buildId, behaviours, compatibleWith = [] } = manifest;
  const own = beats.filter((beat) => beat.buildId === buildId);
  const isServed = own.length > 0 || beats.some((beat) => beat.compatibleWith?.includes(buildId) === true);
  return {
    buildId,
    registeredAtMs,
    hosts: behaviours.map(({ name }) => name),
    newestFor: [...newestFor],
    compatibleWith,
    workers: own.map(({ workerId, pool, draining }) => ({ workerId, pool, draining })),
    runs,
    standing: standingOf({ runs, isServed, isNewest: newestFor.length > 0 }),
  };
}

function standingOf(build: {
  readonly runs: number;
  readonly isServed: boolean;
  readonly isNewest: boolean;
}): BuildLine['standing'] {
  if (build.runs > 0 && !build.isServed) return 'stranded';
  if (build.isNewest) return 'current';
  return build.runs > 0 ? 'draining' : 'drained';
}
