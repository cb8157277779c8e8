import type { Logger } from '@perdure/kernel';

/** Says nothing while `isQuiet`: what is replayed was said the first time. */
export function quietWhile(log: Logger, isQuiet: () => boolean): Logger {
  return {
    info: (message, fields) => (isQuiet() ? undefined : log.info(message, fields)),
    warn: (message, fields) => (isQuiet() ? undefined : log.warn(message, fields)),
    error: (message, fields) => (isQuiet() ? undefined : log.error(message, fields)),
  };
}
