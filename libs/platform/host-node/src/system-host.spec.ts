import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemHost } from './system-host';

describe('the host of a Node process', () => {
  const lines: string[] = [];
  const host = systemHost({ service: 'spec', write: (line) => void lines.push(line) });

  it('makes UUIDs of version 7, all different, that begin with the time', () => {
    const before = Date.now();
    const ids = Array.from({ length: 5_000 }, () => host.entropy.uuid());
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.every((id) => /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id))).toBe(true);
    const time = Number.parseInt((ids[0] ?? '').replace('-', '').slice(0, 12), 16);
    expect(time).toBeGreaterThanOrEqual(before);
    expect(time).toBeLessThanOrEqual(Date.now());
  });

  it('digests as everybody does', () => {
    expect(host.digest.sha256('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  });

  it('runs a timer unless it was cancelled, and turns after what is queued', async () => {
    const ran: string[] = [];
    const cancel = host.timers.after(0, () => void ran.push('cancelled'));
    cancel();
    cancel();
    await new Promise<void>((resolve) => void host.timers.after(0, resolve));
    void Promise.resolve()
      .then(() => Promise.resolve())
      .then(() => ran.push('microtask'));
    await host.timers.turn();
    expect(ran).toEqual(['microtask']);
  });

  it('logs lines of JSON, whatever it is given', () => {
    const circle: Record<string, unknown> = { error: new Error('why'), big: 1n };
    host.log.info('hello', circle);
    circle['self'] = circle;
    host.log.warn('circle', circle);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      level: 'info',
      service: 'spec',
      message: 'hello',
      error: { message: 'why' },
      big: '1',
    });
    expect(() => JSON.parse(lines[1] ?? '') as unknown).not.toThrow();
  });

  it('does nothing at a crash point unless told to', () => {
    expect(() => host.crashPoint('after-append')).not.toThrow();
  });

  it('kills its process at the wanted passing of the wanted crash point', () => {
    const script = `
      require('@swc/core');
      const { transformFileSync } = require('@swc/core');
      const { code } = transformFileSync(${JSON.stringify(require.resolve('./system-host'))}, { jsc: { parser: { syntax: 'typescript' } }, module: { type: 'commonjs' } });
      const loaded = { exports: {} };
      new Function('require', 'module', 'exports', code)(require, loaded, loaded.exports);
      const host = loaded.exports.systemHost({ service: 'child', crashPoint: 'after-append:2' });
      host.crashPoint('other'); host.crashPoint('after-append'); process.stdout.write('once ');
      host.crashPoint('after-append'); process.stdout.write('never');`;
    const child = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
    expect([child.signal, child.stdout]).toEqual(['SIGKILL', 'once ']);
  });

  it('kills its process at the point that a file names, and takes the file away', () => {
    const folder = mkdtempSync(join(tmpdir(), 'perdure-host-'));
    const file = join(folder, 'point');
    const armed = systemHost({ service: 'spec', crashPoint: `@${file}` });
    const killed = jest.spyOn(process, 'kill').mockReturnValue(true);
    armed.crashPoint('owner.before-append');
    writeFileSync(file, 'owner.before-append/EffectDispatched');
    armed.crashPoint('owner.after-append', () => ['EffectDispatched']);
    armed.crashPoint('owner.before-append', () => ['EffectConfirmed']);
    expect([killed.mock.calls.length, existsSync(file)]).toEqual([0, true]);
    armed.crashPoint('owner.before-append', () => ['EffectConfirmed', 'EffectDispatched']);
    armed.crashPoint('owner.before-append', () => ['EffectDispatched']);
    expect(killed.mock.calls).toEqual([[process.pid, 'SIGKILL']]);
    expect(existsSync(file)).toBe(false);
    killed.mockRestore();
    rmSync(folder, { recursive: true });
  });
});
