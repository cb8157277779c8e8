import { z } from 'zod';

export const nameToken = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);
export const displayName = z.string().min(1).max(200);
