import type { FileSystem, LogFile } from '../store/file-system';

// A disk for tests, whose power fails.
//
// 1. What was not synced is lost at a power cut, wholly, partly or not at all: sector by sector, in any order.
// 2. A name that was not synced may be gone, or be the file that had it before; what was removed may be back.
// 3. The power fails in the middle of whatever costs the byte that is one too many; nothing works until the power is back.

/** A disk writes sectors, not files. */
const SECTOR_BYTES = 512;
/** What an operation without bytes of its own takes from the power that is left: it may fail there, too. */
const OPERATION_BYTES = 64;
/** How likely a written sector survives: a whole write is as worth a test as none of it. */
const SURVIVAL = [0, 0.1, 0.5, 0.9, 1] as const;

interface SimulatedFile {
  durable: Buffer;
  current: Buffer;
  /** What is found under its name after a power cut while the name is not durable; undefined = it is. */
  lostName: { readonly before: SimulatedFile | undefined } | undefined;
}

export class NoSpace extends Error {
  readonly code = 'ENOSPC';
}

export class InputOutputError extends Error {
  readonly code = 'EIO';
}

export class PowerLost extends Error {
  readonly code = 'EIO';
}

export class SimulatedDisk implements FileSystem {
  private readonly files = new Map<string, SimulatedFile>();
  /** Removed, but not durably: they may be back after a power cut. */
  private readonly removed = new Map<string, SimulatedFile>();
  /** Bytes that may still be written; then ENOSPC, after a part of the write. */
  room = Number.POSITIVE_INFINITY;
  /** The next syncs fail. */
  syncFails = false;
  /** True = acknowledges syncs of bytes without doing them: what a test must notice. */
  liesAboutSync = false;
  /** The same for names. */
  liesAboutNames = false;
  syncs = 0;
  /** Runs before a sync is done. */
  beforeSync: () => void | Promise<void> = () => undefined;
  private power = Number.POSITIVE_INFINITY;

  constructor(private readonly chance: () => number) {}

  get isOff(): boolean {
    return this.power < 0;
  }

  /** The power fails after so many bytes more. */
  failAfter(bytes: number): void {
    this.power = bytes;
  }

  /** The process alone died: what it wrote can be read by the next one, and be lost by a later power cut. */
  processDied(): void {
    this.power = Number.POSITIVE_INFINITY;
  }

  powerCut(): void {
    this.power = Number.POSITIVE_INFINITY;
    for (const [path, file] of this.removed) if (!this.files.has(path) && this.chance() < 0.5) this.files.set(path, file);
    this.removed.clear();
    const survival = SURVIVAL[Math.floor(this.chance() * SURVIVAL.length)] ?? 1;
    for (const [path, file] of this.files) {
      let survivor: SimulatedFile | undefined = file;
      while (survivor?.lostName !== undefined && this.chance() < 0.5) survivor = survivor.lostName.before;
      if (survivor === undefined) {
        this.files.delete(path);
        continue;
      }
      survivor.lostName = undefined;
      survivor.current = Buffer.from((survivor.durable = this.survivors(survivor, survival)));
      this.files.set(path, survivor);
    }
  }

  corrupt(path: string, at: number): void {
    const file = this.file(path);
    file.current[at] = ~(file.current[at] as number) & 0xff;
    file.durable = Buffer.from(file.current);
  }

  shorten(path: string, size: number): void {
    const file = this.file(path);
    file.current = file.durable = Buffer.from(file.current.subarray(0, size));
  }

  remove(path: string): void {
    const file = this.files.get(path);
    if (file === undefined) return;
    this.spend(OPERATION_BYTES);
    this.files.delete(path);
    this.removed.set(path, file);
  }

  rename(from: string, to: string): void {
    this.spend(OPERATION_BYTES);
    const file = this.file(from);
    this.files.delete(from);
    this.files.set(to, Object.assign(file, { lostName: { before: this.files.get(to) } }));
  }

  createFolder(): void {
    // Folders are part of the names.
  }

  list(folder: string): readonly string[] {
    return [...this.files.keys()].filter((path) => path.startsWith(`${folder}/`)).map((path) => path.slice(folder.length + 1));
  }

  exists(path: string): boolean {
    return this.files.has(path);
  }

  readText(path: string): string {
    return this.file(path).current.toString('utf8');
  }

  readBytes(path: string): Buffer | undefined {
    this.spend(0);
    return this.files.get(path)?.current;
  }

  async writeBytesDurably(path: string, bytes: Buffer): Promise<void> {
    await this.beforeSync();
    this.replace(path, bytes);
  }

  writeTextDurably(path: string, text: string): void {
    this.replace(path, Buffer.from(text, 'utf8'));
  }

  open(path: string, mode: 'create' | 'existing'): LogFile {
    if (mode === 'create') {
      if (this.files.has(path)) throw new Error(`${path} exists`);
      this.spend(OPERATION_BYTES);
      this.files.set(path, { durable: Buffer.alloc(0), current: Buffer.alloc(0), lostName: { before: undefined } });
    }
    return this.handle(this.file(path));
  }

  syncFolder(folder: string): void {
    this.spend(OPERATION_BYTES);
    if (this.liesAboutNames) return;
    for (const [path, file] of this.files) if (path.startsWith(`${folder}/`)) file.lostName = undefined;
    for (const path of this.removed.keys()) if (path.startsWith(`${folder}/`)) this.removed.delete(path);
  }

  /** To a file of another name, which then takes this one. */
  private replace(path: string, bytes: Buffer): void {
    if (bytes.length > this.room) throw new NoSpace('no space left on device');
    this.room -= bytes.length;
    this.spend(bytes.length);
    const before = this.files.get(path);
    this.files.set(path, { durable: Buffer.from(bytes), current: Buffer.from(bytes), lostName: { before } });
    this.spend(OPERATION_BYTES);
    if (!this.liesAboutNames) this.file(path).lostName = undefined;
  }

  private file(path: string): SimulatedFile {
    const file = this.files.get(path);
    if (file === undefined) throw new Error(`${path} does not exist`);
    return file;
  }

  /** @returns how much of it there was power for, when `partly` is allowed; @throws PowerLost otherwise */
  private spend(bytes: number, partly = false): number {
    const left = Math.max(0, this.power);
    this.power -= bytes;
    if (!this.isOff) return bytes;
    if (!partly || left === 0) throw new PowerLost('the power is lost');
    return left;
  }

  private handle(file: SimulatedFile): LogFile {
    return {
      size: () => file.current.length,
      write: (bytes, at) => this.write(file, { bytes, at }),
      read: (target, at) => {
        this.spend(0);
        return file.current.copy(target, 0, at);
      },
      truncate: (size) => {
        this.spend(OPERATION_BYTES);
        this.room += Math.max(0, file.current.length - size);
        file.current = Buffer.from(file.current.subarray(0, size));
      },
      sync: async () => {
        await this.beforeSync();
        this.spend(OPERATION_BYTES);
        if (this.syncFails) throw new InputOutputError('input/output error');
        this.syncs += 1;
        if (!this.liesAboutSync) file.durable = Buffer.from(file.current);
      },
      close: () => undefined,
    };
  }

  private write(file: SimulatedFile, { bytes, at }: { readonly bytes: Buffer; readonly at: number }): void {
    const fits = Math.max(0, Math.min(bytes.length, this.room));
    const written = bytes.subarray(0, this.spend(fits, true));
    this.room -= written.length;
    const grown = Buffer.alloc(Math.max(file.current.length, at + written.length));
    file.current.copy(grown);
    written.copy(grown, at);
    file.current = grown;
    if (written.length < fits) throw new PowerLost('the power is lost');
    if (fits < bytes.length) throw new NoSpace('no space left on device');
  }

  /** Any length between the synced and the written one; of each changed sector the old or the new content. */
  private survivors({ durable, current }: SimulatedFile, survival: number): Buffer {
    const shortest = Math.min(durable.length, current.length);
    const longest = Math.max(durable.length, current.length);
    const size = shortest + Math.floor(this.chance() * (longest - shortest + 1));
    const result = Buffer.alloc(size);
    for (let start = 0; start < size; start += SECTOR_BYTES) {
      const source = this.chance() < survival ? current : durable;
      if (start < source.length) source.copy(result, start, start, Math.min(start + SECTOR_BYTES, size));
    }
    return result;
  }
}
