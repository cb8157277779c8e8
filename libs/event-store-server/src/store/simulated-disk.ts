import type { FileSystem, LogFile } from './file-system';

/** A disk writes sectors, not files: of an unsynced write any part may survive, in any order. */
const SECTOR_BYTES = 512;

interface SimulatedFile {
  durable: Buffer;
  current: Buffer;
  isNamed: boolean;
}

export class NoSpace extends Error {
  readonly code = 'ENOSPC';
}

export class InputOutputError extends Error {
  readonly code = 'EIO';
}

/**
 * A disk for tests. What was not synced is lost at a power cut, wholly, partly or not at all, by chance
 * from a seed; a file whose folder was not synced may be gone.
 */
export class SimulatedDisk implements FileSystem {
  private readonly files = new Map<string, SimulatedFile>();
  /** Bytes that may still be written; then ENOSPC, after a part of the write. */
  room = Number.POSITIVE_INFINITY;
  /** The next syncs fail. */
  syncFails = false;
  /** True = acknowledges syncs without doing them: what a test must notice. */
  liesAboutSync = false;
  syncs = 0;
  /** Runs before a sync is done. */
  beforeSync: () => void | Promise<void> = () => undefined;

  constructor(private readonly chance: () => number) {}

  powerCut(): void {
    for (const [path, file] of this.files) {
      if (!file.isNamed && this.chance() < 0.5) this.files.delete(path);
      else file.current = Buffer.from((file.durable = this.survivors(file)));
    }
  }

  corrupt(path: string, at: number): void {
    const file = this.file(path);
    file.current[at] = ~(file.current[at] as number) & 0xff;
    file.durable = Buffer.from(file.current);
  }

  remove(path: string): void {
    this.files.delete(path);
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
    return this.files.get(path)?.current;
  }

  async writeBytesDurably(path: string, bytes: Buffer): Promise<void> {
    await this.beforeSync();
    if (bytes.length > this.room) throw new NoSpace('no space left on device');
    this.room -= bytes.length;
    this.files.set(path, { durable: Buffer.from(bytes), current: Buffer.from(bytes), isNamed: true });
  }

  writeTextDurably(path: string, text: string): void {
    const bytes = Buffer.from(text, 'utf8');
    this.files.set(path, { durable: bytes, current: Buffer.from(bytes), isNamed: true });
  }

  open(path: string, mode: 'create' | 'existing'): LogFile {
    if (mode === 'create') this.files.set(path, { durable: Buffer.alloc(0), current: Buffer.alloc(0), isNamed: false });
    return this.handle(this.file(path));
  }

  rename(from: string, to: string): void {
    const file = this.file(from);
    this.files.delete(from);
    this.files.set(to, file);
  }

  syncFolder(folder: string): void {
    for (const [path, file] of this.files) if (path.startsWith(`${folder}/`)) file.isNamed = true;
  }

  private file(path: string): SimulatedFile {
    const file = this.files.get(path);
    if (file === undefined) throw new Error(`${path} does not exist`);
    return file;
  }

  private handle(file: SimulatedFile): LogFile {
    return {
      size: () => file.current.length,
      write: (bytes, at) => {
        const written = bytes.subarray(0, Math.max(0, Math.min(bytes.length, this.room)));
        this.room -= written.length;
        const grown = Buffer.alloc(Math.max(file.current.length, at + written.length));
        file.current.copy(grown);
        written.copy(grown, at);
        file.current = grown;
        if (written.length < bytes.length) throw new NoSpace('no space left on device');
      },
      read: (target, at) => file.current.copy(target, 0, at),
      truncate: (size) => {
        this.room += Math.max(0, file.current.length - size);
        file.current = Buffer.from(file.current.subarray(0, size));
      },
      sync: async () => {
        await this.beforeSync();
        if (this.syncFails) throw new InputOutputError('input/output error');
        this.syncs += 1;
        if (!this.liesAboutSync) file.durable = Buffer.from(file.current);
      },
      close: () => undefined,
    };
  }

  /** Any length between the synced and the written one; of each changed sector the old or the new content. */
  private survivors({ durable, current }: SimulatedFile): Buffer {
    const shortest = Math.min(durable.length, current.length);
    const longest = Math.max(durable.length, current.length);
    const size = shortest + Math.floor(this.chance() * (longest - shortest + 1));
    const result = Buffer.alloc(size);
    for (let start = 0; start < size; start += SECTOR_BYTES) {
      const source = this.chance() < 0.5 ? current : durable;
      if (start < source.length) source.copy(result, start, start, Math.min(start + SECTOR_BYTES, size));
    }
    return result;
  }
}
