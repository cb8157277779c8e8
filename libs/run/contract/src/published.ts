import { z } from 'zod';
import { eventMetadata } from './events';

/** A fact as it goes over the bus: a hint of what the log says. Payload fields may be sealed, or refer to a blob. */
export const publishedFact = z.object({
  v: z.literal(1),
  id: z.string(),
  type: z.string().min(1).max(200),
  stream: z.string().min(1).max(400),
  revision: z.number().int().nonnegative(),
  data: z.record(z.string(), z.unknown()),
  metadata: eventMetadata.partial(),
});
export type PublishedFact = z.infer<typeof publishedFact>;
