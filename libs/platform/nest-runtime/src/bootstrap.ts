// How every service process begins and ends.
//
// 1. It says once that it is ready, as one JSON line on standard output, and only when it is.
// 2. SIGTERM, SIGINT, and the end of standard input under PERDURE_LIFELINE=1 end it gracefully; a
//    process whose graceful end takes too long ends anyway: everything here survives a kill.
// 3. It dies with whoever started it, also when that one was killed: the lifeline is a pipe.
import { PerdureError } from '@perdure/kernel';
import { configFromEnvironment, type PlatformConfig } from './platform.config';

export interface RunningService {
  /** Fields of the ready line beside `ready` and `pid`. */
  readonly about?: Readonly<Record<string, unknown>>;
  close(): Promise<void>;
}

export interface ServiceProcess {
  readonly service: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  start(config: PlatformConfig): Promise<RunningService>;
}

const GRACE_MS = 6_000;
const EXIT_CONFIGURATION = 2;

export async function bootstrapService({ service, env, start }: ServiceProcess): Promise<void> {
  let running: RunningService | undefined;
  let ending = false;
  const end = (why: string, code = 0): void => {
    if (ending) return;
    ending = true;
    setTimeout(() => process.exit(code), GRACE_MS).unref();
    say('info', `${service} ends: ${why}`);
    void (running?.close() ?? Promise.resolve())
      .catch((error: unknown) => say('error', `${service} did not close cleanly: ${String(error)}`))
      .finally(() => process.exit(code));
  };
  process.once('SIGTERM', () => end('SIGTERM'));
  process.once('SIGINT', () => end('SIGINT'));
  process.on('uncaughtException', (error) => {
    say('error', `${service}: ${error.stack ?? error.message}`);
    end('an error nobody caught', 1);
  });
  process.on('unhandledRejection', (reason) => {
    say('error', `${service}: ${reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)}`);
    end('a rejection nobody handled', 1);
  });
  if (env.PERDURE_LIFELINE === '1') watchLifeline(() => end('whoever started it is gone'));
  try {
    running = await start(configFromEnvironment(service, env));
    if (ending) return;
    process.stdout.write(`${JSON.stringify({ ready: true, service, pid: process.pid, ...running.about })}\n`);
  } catch (thrown) {
    say(
      'error',
      `${service} cannot start: ${thrown instanceof PerdureError ? `${thrown.code}: ${thrown.message}` : thrown instanceof Error ? thrown.stack : String(thrown)}`,
    );
    process.exit(thrown instanceof PerdureError && thrown.reaction === 'terminal' ? EXIT_CONFIGURATION : 1);
  }
}

/** The end of standard input means that the other end of the pipe is gone. */
function watchLifeline(gone: () => void): void {
  process.stdin.on('end', gone);
  process.stdin.on('close', gone);
  process.stdin.on('error', gone);
  process.stdin.resume();
}

function say(level: 'info' | 'error', message: string): void {
  // Whoever read it may be gone.
  process.stderr.on('error', () => undefined);
  process.stderr.write(`${JSON.stringify({ level, message, atMs: Date.now() })}\n`);
}
