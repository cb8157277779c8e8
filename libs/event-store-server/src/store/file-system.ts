import * as fs from 'node:fs';
import { dirname, join } from 'node:path';

/** One open file. Offsets are given by the caller; nothing is durable before `sync` resolves. */
export interface LogFile {
  size(): number;
  /** Blocks no longer than a copy into the page cache. @throws with `code` ENOSPC when there is no room */
  write(bytes: Buffer, at: number): void;
  /** Fills `target`; fewer bytes only at the end of the file. */
  read(target: Buffer, at: number): number;
  truncate(size: number): void;
  sync(): Promise<void>;
  /** The same while everything waits, where that can be had: a thread costs more than the disk for a small group. */
  syncNow?(): void;
  close(): void;
}

/** What the log needs of a disk: a port, so that tests can lose power. */
export interface FileSystem {
  createFolder(path: string): void;
  list(folder: string): readonly string[];
  exists(path: string): boolean;
  readText(path: string): string;
  /** Undefined when it does not exist. */
  readBytes(path: string): Buffer | undefined;
  /** Whole or not at all, and durable when it resolves. */
  writeBytesDurably(path: string, bytes: Buffer): Promise<void>;
  /** Whole or not at all, and durable when it returns. */
  writeTextDurably(path: string, text: string): void;
  open(path: string, mode: 'create' | 'existing'): LogFile;
  /** Takes the place of a file that has the new name already. */
  rename(from: string, to: string): void;
  /** Nothing happens when it does not exist. */
  remove(path: string): void;
  /** Makes the names in a folder durable. */
  syncFolder(path: string): void;
  /** Room that is left, where that can be had. */
  freeBytes?(folder: string): Promise<number>;
}

class NodeFile implements LogFile {
  constructor(private readonly descriptor: number) {}

  size(): number {
    return fs.fstatSync(this.descriptor).size;
  }

  write(bytes: Buffer, at: number): void {
    let done = 0;
    while (done < bytes.length) {
      done += fs.writeSync(this.descriptor, bytes, done, bytes.length - done, at + done);
    }
  }

  read(target: Buffer, at: number): number {
    let done = 0;
    while (done < target.length) {
      const count = fs.readSync(this.descriptor, target, done, target.length - done, at + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  truncate(size: number): void {
    fs.ftruncateSync(this.descriptor, size);
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.fdatasync(this.descriptor, (error) => (error ? reject(error) : resolve()));
    });
  }

  syncNow(): void {
    fs.fdatasyncSync(this.descriptor);
  }

  close(): void {
    fs.closeSync(this.descriptor);
  }
}

/** Level by level: the recursive form of Node never returns where a folder may not be made, as in /proc. */
function createFolders(path: string): void {
  if (fs.existsSync(path)) return;
  const parent = dirname(path);
  if (parent !== path) createFolders(parent);
  fs.mkdirSync(path);
}

export const nodeFileSystem: FileSystem = {
  createFolder(path) {
    createFolders(path);
  },
  list(folder) {
    return fs.readdirSync(folder);
  },
  exists(path) {
    return fs.existsSync(path);
  },
  readText(path) {
    return fs.readFileSync(path, 'utf8');
  },
  readBytes(path) {
    return fs.existsSync(path) ? fs.readFileSync(path) : undefined;
  },
  async writeBytesDurably(path, bytes) {
    const temporary = `${path}.tmp`;
    const file = await fs.promises.open(temporary, 'w');
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await fs.promises.rename(temporary, path);
    this.syncFolder(dirname(path));
  },
  writeTextDurably(path, text) {
    const temporary = `${path}.tmp`;
    const descriptor = fs.openSync(temporary, 'w');
    fs.writeSync(descriptor, text);
    fs.fsyncSync(descriptor);
    fs.closeSync(descriptor);
    fs.renameSync(temporary, path);
    this.syncFolder(dirname(path));
  },
  open(path, mode) {
    return new NodeFile(fs.openSync(path, mode === 'create' ? 'wx+' : 'r+'));
  },
  rename(from, to) {
    fs.renameSync(from, to);
  },
  remove(path) {
    fs.rmSync(path, { force: true });
  },
  syncFolder(path) {
    const descriptor = fs.openSync(join(path, '.'), 'r');
    try {
      fs.fsyncSync(descriptor);
    } finally {
      fs.closeSync(descriptor);
    }
  },
  async freeBytes(folder) {
    const { bavail, bsize } = await fs.promises.statfs(folder);
    return bavail * bsize;
  },
};
