/** Who may be killed, besides the broker and the store. */
export const WORKERS = ['worker-1', 'worker-2'];
export const SERVICES = { dev: ['services'], isolated: ['orchestrator', 'admission', 'gateway', 'timers'] } as const;
