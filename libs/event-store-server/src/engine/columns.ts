import type { RecordWalk } from '../store/gaps';

const CHUNK_BITS = 16;
const CHUNK = 1 << CHUNK_BITS;
const CHUNK_MASK = CHUNK - 1;

/** In the place of a length. */
const REMOVED = 0;

interface Chunk {
  readonly position: Float64Array;
  readonly length: Uint32Array;
  readonly stream: Uint32Array;
  readonly type: Uint32Array;
}

/**
 * One row an event, numbered in log order: 20 bytes, no objects. The bytes of the events stay on disk.
 */
export class EventColumns {
  private readonly chunks: Chunk[] = [];
  count = 0;

  push(row: { readonly position: number; readonly length: number; readonly stream: number; readonly type: number }): number {
    const at = this.count & CHUNK_MASK;
    if (at === 0 && this.count >>> CHUNK_BITS === this.chunks.length) this.chunks.push(newChunk());
    const chunk = this.chunks[this.count >>> CHUNK_BITS] as Chunk;
    chunk.position[at] = row.position;
    chunk.length[at] = row.length;
    chunk.stream[at] = row.stream;
    chunk.type[at] = row.type;
    return this.count++;
  }

  /**
   * Rows of the records that lie on `walk`, one behind the other.
   * @returns the number of the first
   */
  pushAll(
    rows: { readonly lengths: Uint32Array; readonly streams: Uint32Array; readonly types: Uint32Array },
    walk: RecordWalk,
  ): number {
    const first = this.count;
    for (let row = 0; row < rows.lengths.length; row += 1) {
      const at = this.count & CHUNK_MASK;
      if (at === 0 && this.count >>> CHUNK_BITS === this.chunks.length) this.chunks.push(newChunk());
      const chunk = this.chunks[this.count >>> CHUNK_BITS] as Chunk;
      chunk.position[at] = walk.position;
      chunk.length[at] = rows.lengths[row] as number;
      chunk.stream[at] = rows.streams[row] as number;
      chunk.type[at] = rows.types[row] as number;
      walk.advance(rows.lengths[row] as number);
      this.count += 1;
    }
    return first;
  }

  truncate(count: number): void {
    this.count = count;
  }

  /** The row stays, so that no other one gets a new number, but there is nothing to be read any more. */
  remove(event: number): void {
    (this.chunks[event >>> CHUNK_BITS] as Chunk).length[event & CHUNK_MASK] = REMOVED;
  }

  isRemoved(event: number): boolean {
    return this.length(event) === REMOVED;
  }

  position(event: number): number {
    return (this.chunks[event >>> CHUNK_BITS] as Chunk).position[event & CHUNK_MASK] as number;
  }

  length(event: number): number {
    return (this.chunks[event >>> CHUNK_BITS] as Chunk).length[event & CHUNK_MASK] as number;
  }

  stream(event: number): number {
    return (this.chunks[event >>> CHUNK_BITS] as Chunk).stream[event & CHUNK_MASK] as number;
  }

  type(event: number): number {
    return (this.chunks[event >>> CHUNK_BITS] as Chunk).type[event & CHUNK_MASK] as number;
  }

  /** Number of the first event at or after `position`; `count` when there is none. */
  firstAtOrAfter(position: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.position(middle) < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function newChunk(): Chunk {
  return {
    position: new Float64Array(CHUNK),
    length: new Uint32Array(CHUNK),
    stream: new Uint32Array(CHUNK),
    type: new Uint32Array(CHUNK),
  };
}
