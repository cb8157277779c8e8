/** Who may be killed, besides the broker and the store. */
export const WORKERS = ['worker-1', 'worker-2'];
/** Of payments: those that hold runs, and those that execute. */
export const PAYMENT_WORKERS = [...WORKERS, 'worker-3', 'worker-4'];
export const PAYMENT_POOLS = ['default', 'default', 'payments', 'payments'] as const;
export const SERVICES = { dev: ['services'], isolated: ['orchestrator', 'admission', 'gateway', 'timers'] } as const;
