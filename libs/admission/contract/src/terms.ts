import { z } from 'zod';

/** Terms of leaders of this cell: the newest one counts. Two are kept. */
export const ADMISSION_TERM_STREAM = 'keeper-admission-term';
export const ADMISSION_TERM_STARTED = 'AdmissionTermStarted';

export const admissionTermStarted = z.object({
  term: z.number().int().positive(),
  /** Incarnation of the process that leads. */
  leader: z.string().min(1).max(200),
  startedAtMs: z.number().int().nonnegative(),
});
export type AdmissionTermStarted = z.infer<typeof admissionTermStarted>;

/** Key of the lease, among the leases of the installation. */
export const ADMISSION_LEASE_KEY = 'admission-leader';

/** Its value. Watchers judge a lease by their own monotonic clock, never by a time that stands in it. */
export const admissionLease = z.object({
  leader: z.string().min(1).max(200),
  /** The place that the leader runs in: a process that finds its own place here has replaced a dead one. */
  instanceId: z.string().min(1).max(200),
  renewal: z.number().int().nonnegative(),
});
