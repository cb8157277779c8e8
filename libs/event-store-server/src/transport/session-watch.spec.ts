import { EventEmitter } from 'node:events';
import type { ServerHttp2Session } from 'node:http2';
import { SessionWatch } from './session-watch';

const TICK_MS = 5000;

class FakeSession extends EventEmitter {
  destroyed = false;
  answers = true;
  pings = 0;

  destroy(): void {
    this.destroyed = true;
    this.emit('close');
  }

  ping(answered: (error: Error | null) => void): boolean {
    this.pings += 1;
    if (this.answers) answered(null);
    return true;
  }
}

function scene() {
  let nowMs = 0;
  const watch = new SessionWatch(() => nowMs);
  const add = (): FakeSession => {
    const session = new FakeSession();
    watch.add(session as unknown as ServerHttp2Session);
    return session;
  };
  const pass = (millis: number): void => {
    for (const until = nowMs + millis; nowMs < until; nowMs += TICK_MS) watch.look();
  };
  return { watch, add, pass };
}

describe('the watch over connections', () => {
  it('closes one that never says what it wants', () => {
    const { watch, add, pass } = scene();
    const [silent, valid] = [add(), add()];
    valid.emit('remoteSettings');
    pass(20_000);
    expect([silent.destroyed, valid.destroyed, watch.size]).toEqual([true, false, 1]);
    watch.close();
  });

  it('closes one whose peer is gone, and keeps one that answers for ever', () => {
    const { watch, add, pass } = scene();
    const [gone, alive] = [add(), add()];
    for (const session of [gone, alive]) session.emit('remoteSettings');
    gone.answers = false;
    pass(3_600_000);
    expect([gone.destroyed, gone.pings, alive.destroyed]).toEqual([true, 1, false]);
    expect(alive.pings).toBeGreaterThan(10);
    watch.close();
    expect(alive.destroyed).toBe(true);
  });
});
