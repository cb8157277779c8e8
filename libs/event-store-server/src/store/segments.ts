import { join } from 'node:path';
import { EventStoreServerError } from '../errors';
import type { FileSystem, LogFile } from './file-system';
import { type Gaps, NO_GAPS } from './gaps';
import { type ScavengedRange, readScavengedHead, scavengedHeadBytes } from './scavenged-file';

/** Files of the log, named by the position of their first byte. */
export const SEGMENT_NAME = /^(\d{20})(\.scavenged)?\.log$/;
const LEFT_OVER_NAME = /\.tmp$/;

/** A file with all that was written from its position on, or, after a scavenge, with what is left of that. */
export interface Segment {
  /** Position of its first byte in the log. */
  readonly base: number;
  /** Position after its last byte. Undefined: the newest one, which grows. */
  readonly end: number | undefined;
  readonly file: LogFile;
  /** Bytes before its first record. */
  readonly headBytes: number;
  readonly gaps: Gaps;
  readonly name: string;
}

export function segmentName(base: number, form: 'written' | 'scavenged'): string {
  return `${String(base).padStart(20, '0')}${form === 'scavenged' ? '.scavenged' : ''}.log`;
}

/** The log as one range of bytes over several files. */
export class Segments {
  private segments: Segment[] = [];

  private constructor(
    private readonly files: FileSystem,
    private readonly folder: string,
  ) {}

  /** @throws EventStoreServerError `LogCorrupt` */
  static open(files: FileSystem, folder: string): Segments {
    const opened = new Segments(files, folder);
    const listed = files.list(folder);
    for (const name of listed) if (LEFT_OVER_NAME.test(name)) files.remove(join(folder, name));
    // The process before may have died before the names that it gave were durable, and the machine gone on.
    files.syncFolder(folder);
    const current = currentSegments(
      listed,
      (scavenged) => opened.endOf(scavenged),
      (stale) => opened.discard(stale),
    );
    for (const name of current) opened.segments.push(opened.openFile(name));
    opened.segments = opened.segments.map((segment, at) => ({ ...segment, end: segment.end ?? opened.segments[at + 1]?.base }));
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
    const name = segmentName(base, 'written');
    const path = join(this.folder, name);
    const last = this.segments[this.segments.length - 1];
    if (last !== undefined) this.segments[this.segments.length - 1] = { ...last, end: base };
    this.segments.push({ base, end: undefined, file: this.files.open(path, 'create'), headBytes: 0, gaps: NO_GAPS, name });
    this.syncNames(path);
  }

  /** Puts a scavenged file, which is whole and durable at `path`, in the place of all segments of its range. */
  replace(path: string, range: ScavengedRange): void {
    const name = segmentName(range.base, 'scavenged');
    this.files.rename(path, join(this.folder, name));
    this.syncNames(name);
    const replaced = this.segments.filter(({ base }) => base >= range.base && base < range.end);
    const first = this.segments.indexOf(replaced[0] as Segment);
    const file = this.files.open(join(this.folder, name), 'existing');
    this.segments.splice(first, replaced.length, { ...range, headBytes: scavengedHeadBytes(range.gaps), file, name });
    for (const segment of replaced) {
      segment.file.close();
      if (segment.name !== name) this.discard(segment.name);
    }
  }

  /** Reads what may lie in several files, but over no gap. */
  read(target: Buffer, position: number): void {
    let done = 0;
    for (let index = this.indexOf(position); done < target.length; index += 1) {
      const segment = this.segments[index];
      if (segment === undefined) throw new Error(`The log ends before position ${position + target.length}.`);
      const here = position + done;
      const length = Math.min(target.length - done, (segment.end ?? Number.POSITIVE_INFINITY) - here);
      const count = segment.file.read(target.subarray(done, done + length), offsetIn(segment, here));
      if (count < length) throw new Error(`The log ends before position ${position + target.length}.`);
      done += length;
    }
  }

  close(): void {
    for (const { file } of this.segments) file.close();
    this.segments.length = 0;
  }

  private syncNames(name: string): void {
    try {
      this.files.syncFolder(this.folder);
    } catch (error) {
      // Without the code of the cause: even a full disk must end the log here, the name may be lost.
      throw new Error(`The name of ${name} could not be made durable.`, { cause: error });
    }
  }

  private openFile(name: string): Segment {
    const base = Number(name.slice(0, 20));
    const file = this.files.open(join(this.folder, name), 'existing');
    if (name === segmentName(base, 'written')) return { base, end: undefined, file, headBytes: 0, gaps: NO_GAPS, name };
    const range = readScavengedHead((target) => file.read(target, 0));
    if (range !== undefined) return { ...range, headBytes: scavengedHeadBytes(range.gaps), file, name };
    file.close();
    throw new EventStoreServerError(
      'LogCorrupt',
      `The head of ${join(this.folder, name)} is damaged: nothing was changed. Restore the data folder from a backup.`,
    );
  }

  private endOf(name: string): number {
    const segment = this.openFile(name);
    segment.file.close();
    return segment.end ?? segment.base;
  }

  /** The file, and what was written down of it. */
  private discard(name: string): void {
    this.files.remove(join(this.folder, name));
    this.files.remove(join(this.folder, `${name.slice(0, 20)}.idx`));
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

/** Where the byte of `position` lies in the file of its segment. */
function offsetIn({ base, headBytes, gaps }: Segment, position: number): number {
  return headBytes + position - base - gaps.before(position);
}

function isScavenged(name: string): boolean {
  return name.endsWith('.scavenged.log');
}

/**
 * Of the files in a folder those that are the log, in order. A scavenged file stands for all that begins in its range.
 * @param discard is given each file that a scavenge had replaced and not yet deleted
 */
export function currentSegments(
  names: readonly string[],
  endOf: (scavenged: string) => number,
  discard: (name: string) => void,
): readonly string[] {
  const current: string[] = [];
  let replacedUpTo = 0;
  // Of one position the scavenged file comes last, so that it is looked at first.
  for (const name of names.filter((listed) => SEGMENT_NAME.test(listed)).sort(byBase)) {
    const base = Number(name.slice(0, 20));
    if (base < replacedUpTo) {
      discard(name);
      continue;
    }
    if (isScavenged(name)) replacedUpTo = endOf(name);
    current.push(name);
  }
  return current;
}

function byBase(left: string, right: string): number {
  const difference = Number(left.slice(0, 20)) - Number(right.slice(0, 20));
  return difference === 0 ? Number(isScavenged(right)) - Number(isScavenged(left)) : difference;
}
