import { join } from 'node:path';
import type { FileSystem, LogFile } from './file-system';

/** Files of the log, named by the position of their first byte. */
export const SEGMENT_NAME = /^(\d{20})\.log$/;

interface Segment {
  /** Position of its first byte in the log. */
  readonly base: number;
  readonly file: LogFile;
}

/** The log as one range of bytes over several files, each named by the position of its first byte. */
export class Segments {
  private readonly segments: Segment[] = [];

  private constructor(
    private readonly files: FileSystem,
    private readonly folder: string,
  ) {}

  static open(files: FileSystem, folder: string): Segments {
    const opened = new Segments(files, folder);
    const names = files.list(folder).filter((name) => SEGMENT_NAME.test(name));
    for (const name of [...names].sort()) {
      opened.segments.push({ base: Number(name.slice(0, 20)), file: files.open(join(folder, name), 'existing') });
    }
    if (opened.segments.length === 0) opened.create(0);
    return opened;
  }

  get all(): readonly Segment[] {
    return this.segments;
  }

  get last(): Segment {
    return this.segments[this.segments.length - 1] as Segment;
  }

  /** The name is durable before a byte is written: a file that vanishes would take its records along. */
  create(base: number): void {
    const path = join(this.folder, `${String(base).padStart(20, '0')}.log`);
    this.segments.push({ base, file: this.files.open(path, 'create') });
    try {
      this.files.syncFolder(this.folder);
    } catch (error) {
      // Without the code of the cause: even a full disk must end the log here, the name may be lost.
      throw new Error(`The name of ${path} could not be made durable.`, { cause: error });
    }
  }

  /** Reads what may lie in several files. */
  read(target: Buffer, position: number): void {
    let done = 0;
    for (let index = this.indexOf(position); done < target.length; index += 1) {
      const segment = this.segments[index];
      if (segment === undefined) throw new Error(`The log ends before position ${position + target.length}.`);
      const next = this.segments[index + 1];
      const here = position + done;
      const length = Math.min(target.length - done, (next?.base ?? Number.POSITIVE_INFINITY) - here);
      const count = segment.file.read(target.subarray(done, done + length), here - segment.base);
      if (count < length) throw new Error(`The log ends before position ${position + target.length}.`);
      done += length;
    }
  }

  close(): void {
    for (const { file } of this.segments) file.close();
    this.segments.length = 0;
  }

  private indexOf(position: number): number {
    let low = 0;
    let high = this.segments.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.segments[middle] as Segment).base <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
