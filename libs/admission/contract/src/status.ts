import { z } from 'zod';

const nameToken = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);

/** Asked by request; the leader answers. */
export const ADMISSION_STATUS_SUBJECT = 'perdure.svc.admission.status';

export const admissionStatusRequest = z.object({ tenant: nameToken, runId: nameToken });
export type AdmissionStatusRequest = z.infer<typeof admissionStatusRequest>;

/** Why a queued run has not been released. */
export const waitReason = z.enum([
  'next',
  /** No worker of the pool hosts that name. */
  'no-worker',
  /** Workers host it, and none has a free slot. */
  'no-free-slot',
  /** Others came first. */
  'behind-others',
  /** A release was refused or not answered: it is tried again shortly. */
  'trying-again',
  /** The leader has just started, and waits until nothing of its predecessor can still arrive. */
  'leader-starting',
]);
export type WaitReason = z.infer<typeof waitReason>;

export const admissionStatus = z.discriminatedUnion('state', [
  z.object({ state: z.literal('unknown') }),
  z.object({
    state: z.literal('queued'),
    pool: nameToken,
    name: z.string(),
    /** 1 = the next one of its name. */
    position: z.number().int().positive(),
    /** Runs that wait in this pool, of all names. */
    queueLength: z.number().int().nonnegative(),
    sinceMs: z.number(),
    why: waitReason,
  }),
  z.object({ state: z.literal('releasing'), pool: nameToken, workerId: nameToken }),
  z.object({ state: z.literal('held'), pool: nameToken, workerId: nameToken.optional() }),
  z.object({ state: z.literal('idle'), pool: nameToken }),
]);
export type AdmissionStatus = z.infer<typeof admissionStatus>;
