import { join } from 'node:path';

/** The folder of the checkout; this file lies at apps/cli/{src,dist}/stack. */
export const ROOT = join(__dirname, '..', '..', '..', '..');

export const STORE_PROGRAM = join(ROOT, 'libs/event-store-server/dist/main.js');
export const SIGNER_PROGRAM = join(ROOT, 'apps/signer/dist/main.js');
export const WORKER_PROGRAM = join(ROOT, 'apps/worker/dist/main.js');
export const DEV_PROGRAM = join(ROOT, 'apps/dev/dist/main.js');
export const SERVICES = ['orchestrator', 'admission', 'timers', 'gateway'] as const;
export type ServiceName = (typeof SERVICES)[number];

export function serviceProgram(service: ServiceName): string {
  return join(ROOT, 'apps', service, 'dist/main.js');
}

/** What a stack runs when nobody says otherwise. */
export const SAMPLE_ENTRY = join(ROOT, 'dist/examples/audit/index.js');
