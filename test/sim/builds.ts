/**
 * Several builds of the same code, one a worker, in half of the stories: which of them goes on with a workflow is as
 * certain as what it does, since every process that dies comes back as what it was.
 */
export const BUILDS = ['build-1', 'build-2', 'build-3'] as const;

/** The last one says that it takes runs of the first over; so the first must not get them back by itself. */
const TAKES_OVER: Readonly<Record<string, readonly string[]>> = { 'build-3': ['build-1'] };

export interface SimBuild {
  readonly build: string;
  readonly compatibleWith: readonly string[];
}

export function buildOf(workerId: string, several: boolean): SimBuild {
  const build = several ? (BUILDS[Number(workerId.split('-').at(-1)) - 1] ?? BUILDS[0]) : BUILDS[0];
  return { build, compatibleWith: TAKES_OVER[build] ?? [] };
}

export function takesOver(buildId: string, of: string): boolean {
  return TAKES_OVER[buildId]?.includes(of) === true;
}
