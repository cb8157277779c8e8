/**
 * While a simulation runs, time, chance and timers of the real process are out of bounds: code that reaches for them
 * would behave differently at the next run of the same seed. It is told so at once, and the simulation remembers.
 */
export interface RealTime {
  nowMs(): number;
  setImmediate(task: () => void): void;
}

export class AmbientGuard {
  readonly real: RealTime;
  private readonly saved: (() => void)[] = [];

  constructor(private readonly onTouch: (what: string) => void) {
    const { setImmediate } = globalThis;
    const { now } = Date;
    this.real = { nowMs: () => now(), setImmediate: (task) => void setImmediate(task) };
  }

  install(): void {
    this.replace(Date, 'now');
    this.replace(Math, 'random');
    for (const name of ['setTimeout', 'setInterval', 'setImmediate'] as const) this.replace(globalThis, name);
    this.replaceDate();
  }

  remove(): void {
    for (const restore of this.saved.splice(0).reverse()) restore();
  }

  private replace<O extends object>(owner: O, name: keyof O & string): void {
    const original = owner[name];
    const guard = (): never => this.refuse(name);
    Object.defineProperty(owner, name, { value: guard, configurable: true, writable: true });
    this.saved.push(() => Object.defineProperty(owner, name, { value: original, configurable: true, writable: true }));
  }

  /** `new Date(ms)` is arithmetic; `new Date()` is the wall clock. */
  private replaceDate(): void {
    const original = Date;
    const refuse = (): never => this.refuse('new Date()');
    globalThis.Date = new Proxy(original, {
      construct: (target, args, newTarget) =>
        args.length === 0 ? refuse() : (Reflect.construct(target, args, newTarget) as object),
      apply: () => refuse(),
    });
    this.saved.push(() => {
      globalThis.Date = original;
    });
  }

  private refuse(what: string): never {
    this.onTouch(what);
    throw new TypeError(`${what} is ambient: below apps and platform it comes through the Host port`);
  }
}
