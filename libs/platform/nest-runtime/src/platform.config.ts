import { Terminal } from '@perdure/kernel';
import { z } from 'zod';

const name = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, '1 to 64 letters, digits, "_" or "-"');

/** `user:password` in the environment. */
const brokerUser = z
  .string()
  .regex(/^[^:]+:.+$/, 'user:password')
  .transform((text) => ({ user: text.slice(0, text.indexOf(':')), pass: text.slice(text.indexOf(':') + 1) }))
  .optional();

export const platformConfig = z.object({
  natsUrl: z.string().min(1),
  natsService: brokerUser,
  /** Answers go out over a connection with these rights: none on JetStream. */
  natsResponder: brokerUser,
  /** Hears at once that a worker's connection has ended. */
  natsSystem: brokerUser,
  storeUrl: z.string().min(1),
  /** Holds blobs, and keys apart from them. */
  dataDir: z.string().min(1),
  /** On a disk of this machine, for what the process can make anew from the log. */
  localDir: z.string().min(1),
  /** Tells one process of a service from another. */
  instanceId: name,
  service: name,
  /** Seals payload fields with a key per run. */
  seal: z.boolean(),
  /** Public key of the signer, base64: what it has not signed is no approval. */
  signerKey: z.string().optional(),
  /** For tests: where the process ends itself, see Host.crashPoint. */
  crashPoint: z.string().optional(),
  /** Of the gateway; 0 = any free one. */
  port: z.coerce.number().int().min(0).max(65_535),
  bind: z.string(),
});
export type PlatformConfig = z.infer<typeof platformConfig>;

type Environment = Readonly<Record<string, string | undefined>>;

/** @throws Terminal `InvalidConfiguration`, which names the variables */
export function configFromEnvironment(service: string, env: Environment): PlatformConfig {
  const parsed = platformConfig.safeParse({
    natsUrl: env.PERDURE_NATS_URL,
    natsService: env.PERDURE_NATS_SERVICE,
    natsResponder: env.PERDURE_NATS_RESPONDER,
    natsSystem: env.PERDURE_NATS_SYSTEM,
    storeUrl: env.PERDURE_STORE_URL,
    dataDir: env.PERDURE_DATA_DIR,
    localDir: env.PERDURE_LOCAL_DIR ?? env.PERDURE_DATA_DIR,
    instanceId: env.PERDURE_INSTANCE_ID ?? `${service}-1`,
    service,
    signerKey: env.PERDURE_SIGNER_KEY,
    crashPoint: env.PERDURE_CRASH_POINT,
    seal: env.PERDURE_SEAL === '1',
    port: env.PERDURE_PORT ?? 0,
    bind: env.PERDURE_BIND ?? '127.0.0.1',
  });
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map(({ path, message }) => `${variableOf(String(path[0] ?? ''))}: ${message}`);
  throw new Terminal(
    'InvalidConfiguration',
    `The configuration of ${service} is not valid. ${issues.join('; ')}. These are environment variables.`,
  );
}

function variableOf(field: string): string {
  return `PERDURE_${field.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}
