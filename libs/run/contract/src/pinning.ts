import { z } from 'zod';
import { nameToken } from './values';

/**
 * Which build of its code a workflow goes on with. A run is pinned to the build of its newest assignment; another
 * build takes it only if that build declares itself compatible, or if somebody says so.
 */

/** From an operator: the next assignment of the run goes to this build, whatever it was pinned to. */
export const repinRun = z.object({
  type: z.literal('RepinRun'),
  buildId: nameToken,
  reason: z.string().max(2_000).default('pinned anew by caller'),
});

/** What is under way with the build before is finished by it; every later activation has this one. */
export const runRepinned = z.object({ buildId: nameToken, reason: z.string(), commandId: z.string() });
