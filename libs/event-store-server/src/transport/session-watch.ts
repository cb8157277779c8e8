import type { ServerHttp2Session } from 'node:http2';

const LOOK_EVERY_MS = 5000;
/** From the first bytes to valid settings, which every client sends at once. */
const SETTINGS_WITHIN_MS = 10_000;
/** A peer that vanished without a word is noticed within the two of them. */
const PING_AFTER_MS = 30_000;
const PONG_WITHIN_MS = 20_000;

interface Watched {
  readonly session: ServerHttp2Session;
  readonly sinceMs: number;
  hasSettings: boolean;
  pongAtMs: number;
  pingAtMs: number | undefined;
}

/** The HTTP/2 connections: those that never become one, and those whose peer is gone, are closed. */
export class SessionWatch {
  private readonly watched = new Set<Watched>();
  private readonly timer: NodeJS.Timeout;

  /** `nowMs` is a monotonic clock. */
  constructor(private readonly nowMs: () => number = () => performance.now()) {
    this.timer = setInterval(() => this.look(), LOOK_EVERY_MS).unref();
  }

  get size(): number {
    return this.watched.size;
  }

  add(session: ServerHttp2Session): void {
    const nowMs = this.nowMs();
    const watched: Watched = { session, sinceMs: nowMs, hasSettings: false, pongAtMs: nowMs, pingAtMs: undefined };
    this.watched.add(watched);
    session.on('error', () => undefined);
    session.on('close', () => this.watched.delete(watched));
    session.once('remoteSettings', () => {
      watched.hasSettings = true;
    });
  }

  close(): void {
    clearInterval(this.timer);
    for (const { session } of this.watched) session.destroy();
  }

  look(): void {
    const nowMs = this.nowMs();
    for (const watched of this.watched) {
      if (isGone(watched, nowMs)) watched.session.destroy();
      else if (watched.pingAtMs === undefined && nowMs - watched.pongAtMs >= PING_AFTER_MS) this.ping(watched, nowMs);
    }
  }

  private ping(watched: Watched, nowMs: number): void {
    watched.pingAtMs = nowMs;
    const isSent = watched.session.ping((error) => {
      if (error !== null) return;
      watched.pingAtMs = undefined;
      watched.pongAtMs = this.nowMs();
    });
    if (!isSent) watched.pingAtMs = undefined;
  }
}

function isGone({ hasSettings, sinceMs, pingAtMs }: Watched, nowMs: number): boolean {
  if (!hasSettings) return nowMs - sinceMs >= SETTINGS_WITHIN_MS;
  return pingAtMs !== undefined && nowMs - pingAtMs >= PONG_WITHIN_MS;
}
