// Records that are too many for memory, sorted by key on disk: written in runs that are sorted in memory, merged when read.
//
//   record   { length of key, 2 bytes ‖ length of value, 4 bytes ‖ key ‖ value }   big-endian
//
// Runs are segments of a staged file that several spools share, one behind the other. Input that comes sorted is one run
// whatever its length. The file means nothing to anybody but these objects, so it carries no marks.
// Memory is one unsorted run while records are added, and LOAD_READ_BYTES for all runs together while they are read.
import { LOAD_READ_BYTES } from "../core/limits.js";
import type { StagedBlob } from "../store/contract.js";

const HEAD_BYTES = 2 + 4;
/** Records that a merge hands out at a time, and their bytes. */
const MERGED_RECORDS = 512;
const MERGED_BYTES = 256 * 1024;
/** Bytes read at once for one run, at least. */
const LEAST_READ_BYTES = 16 * 1024;

export interface SpooledRecord {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

interface Segment {
  readonly offset: number;
  readonly length: number;
}

/** Segments whose records ascend from the first to the last. */
interface Run {
  readonly segments: Segment[];
  lastKey: Buffer;
}

export class SortedSpool {
  readonly #file: StagedBlob;
  readonly #runs: Run[] = [];
  #buffer: Buffer;
  #bufferBytes = 0;
  /** Where each record in the buffer starts. */
  #starts: number[] = [];
  #isAscending = true;

  /** `runBytes`: what is sorted in memory at a time, at most 7 MiB; no record is larger. */
  constructor(file: StagedBlob, options: { readonly runBytes: number }) {
    this.#file = file;
    this.#buffer = Buffer.allocUnsafeSlow(options.runBytes);
  }

  /** Takes a record, which is copied; false where there is no room for it: then `endRun` makes some. */
  add({ key, value }: SpooledRecord): boolean {
    const buffer = this.#buffer;
    const start = this.#bufferBytes;
    const keyStart = start + HEAD_BYTES;
    const end = keyStart + key.length + value.length;
    if (end > buffer.length) return false;
    buffer.writeUInt16BE(key.length, start);
    buffer.writeUInt32BE(value.length, start + 2);
    buffer.set(key, keyStart);
    buffer.set(value, keyStart + key.length);
    this.#bufferBytes = end;
    const previous = this.#starts.at(-1);
    if (previous !== undefined && this.#compare(previous, start) >= 0) this.#isAscending = false;
    this.#starts.push(start);
    return true;
  }

  /** Sorts what was added since the last run, and writes it. Of equal keys the last stays. */
  async endRun(): Promise<void> {
    if (this.#starts.length === 0) return;
    const starts = this.#isAscending ? this.#starts : this.#sortedStarts();
    const sorted = this.#isAscending ? this.#buffer.subarray(0, this.#bufferBytes) : this.#copied(starts);
    const first = Buffer.from(this.#keyAt(starts[0] ?? 0));
    const last = Buffer.from(this.#keyAt(starts.at(-1) ?? 0));
    const segment = { offset: this.#file.sizeBytes, length: sorted.length };
    await this.#file.append(segment.offset, sorted);
    const run = this.#runs.at(-1);
    if (run !== undefined && Buffer.compare(run.lastKey, first) < 0) {
      run.segments.push(segment);
      run.lastKey = last;
    } else {
      this.#runs.push({ segments: [segment], lastKey: last });
    }
    this.#bufferBytes = 0;
    this.#starts = [];
    this.#isAscending = true;
  }

  /** To be called once, behind the last record. */
  async end(): Promise<void> {
    await this.endRun();
    this.#buffer = Buffer.alloc(0);
  }

  /** All records in strictly ascending order of key, a few at a time. Of equal keys the one that was added last. */
  async *records(): AsyncGenerator<SpooledRecord[], void, undefined> {
    const heap = await this.#openRuns();
    let batch: SpooledRecord[] = [];
    let batchBytes = 0;
    let previous: Buffer | undefined;
    for (let lowest = heap.lowest; lowest !== undefined; lowest = heap.lowest) {
      const { key, value } = lowest;
      // Equal keys come with the youngest first.
      if (previous === undefined || !previous.equals(key)) {
        batch.push({ key, value });
        batchBytes += value.length;
      }
      previous = key;
      // Waiting for what is at hand would cost more than the rest of the merge.
      const hasNext = lowest.step() || (await lowest.advance());
      if (hasNext) heap.settle();
      else heap.removeLowest();
      if (batch.length < MERGED_RECORDS && batchBytes < MERGED_BYTES) continue;
      yield batch;
      batch = [];
      batchBytes = 0;
    }
    if (batch.length > 0) yield batch;
  }

  async #openRuns(): Promise<CursorHeap> {
    const readBytes = Math.max(LEAST_READ_BYTES, Math.floor(LOAD_READ_BYTES / Math.max(1, this.#runs.length)));
    const cursors: RunCursor[] = [];
    for (const [age, { segments }] of this.#runs.entries()) {
      const cursor = new RunCursor(this.#file, segments, { age, readBytes });
      if (await cursor.advance()) cursors.push(cursor);
    }
    return new CursorHeap(cursors);
  }

  /** Where the records start, in order of key; of equal keys the last added. */
  #sortedStarts(): number[] {
    const sorted: number[] = [];
    for (const group of this.#groups()) {
      if (group.length > 1) group.sort((a, b) => this.#compare(a, b));
      for (const [position, start] of group.entries()) {
        // The sort is stable, so of equal keys the last is the newest.
        const next = group[position + 1];
        if (next === undefined || this.#compare(start, next) !== 0) sorted.push(start);
      }
    }
    return sorted;
  }

  /**
   * The records in order of the 33 bits behind what all keys share, those with the same bits together in the order in
   * which they were added. Numbers of bits and position are sorted without a call for each comparison.
   */
  *#groups(): Generator<number[], void, undefined> {
    const starts = this.#starts;
    const shared = this.#sharedBytes();
    const packed = new Float64Array(starts.length);
    for (const [position, start] of starts.entries())
      packed[position] = this.#bitsAt(start, shared) * 2 ** 20 + position;
    packed.sort();
    let group: number[] = [];
    let bits = -1;
    for (const number of packed) {
      const ownBits = Math.floor(number / 2 ** 20);
      if (ownBits !== bits && group.length > 0) {
        yield group;
        group = [];
      }
      bits = ownBits;
      group.push(starts[number % 2 ** 20] ?? 0);
    }
    if (group.length > 0) yield group;
  }

  /** Bytes that all keys begin with. */
  #sharedBytes(): number {
    const buffer = this.#buffer;
    const first = (this.#starts[0] ?? 0) + HEAD_BYTES;
    let shared = buffer.readUInt16BE(first - HEAD_BYTES);
    for (const start of this.#starts) {
      const most = Math.min(shared, buffer.readUInt16BE(start));
      shared = 0;
      while (shared < most && buffer[first + shared] === buffer[start + HEAD_BYTES + shared]) shared += 1;
    }
    return shared;
  }

  /** 33 bits of a key; what lies behind its end counts as zeros, so that keys with the same bits may still differ. */
  #bitsAt(start: number, offset: number): number {
    const buffer = this.#buffer;
    const end = start + HEAD_BYTES + buffer.readUInt16BE(start);
    let bits = 0;
    for (let index = start + HEAD_BYTES + offset, count = 0; count < 4; index += 1, count += 1) {
      bits = bits * 256 + (index < end ? (buffer[index] ?? 0) : 0);
    }
    const fifth = start + HEAD_BYTES + offset + 4;
    return bits * 2 + (fifth < end ? (buffer[fifth] ?? 0) >> 7 : 0);
  }

  #copied(starts: readonly number[]): Buffer {
    const copy = Buffer.allocUnsafe(this.#bufferBytes);
    let end = 0;
    for (const start of starts) {
      const size = HEAD_BYTES + this.#buffer.readUInt16BE(start) + this.#buffer.readUInt32BE(start + 2);
      end += this.#buffer.copy(copy, end, start, start + size);
    }
    return copy.subarray(0, end);
  }

  #keyAt(start: number): Buffer {
    return this.#buffer.subarray(start + HEAD_BYTES, start + HEAD_BYTES + this.#buffer.readUInt16BE(start));
  }

  /** Compares the keys of two records in the buffer, bytewise. */
  #compare(a: number, b: number): number {
    const buffer = this.#buffer;
    const lengthOfA = buffer.readUInt16BE(a);
    const lengthOfB = buffer.readUInt16BE(b);
    const end = HEAD_BYTES + Math.min(lengthOfA, lengthOfB);
    for (let index = HEAD_BYTES; index < end; index += 1) {
      const difference = (buffer[a + index] ?? 0) - (buffer[b + index] ?? 0);
      if (difference !== 0) return difference;
    }
    return lengthOfA - lengthOfB;
  }
}

/** Reads a run from its first record to its last. What it shows stays as it is when it goes on. */
class RunCursor {
  readonly age: number;
  key: Buffer = Buffer.alloc(0);
  value: Buffer = Buffer.alloc(0);
  readonly #file: StagedBlob;
  readonly #segments: readonly Segment[];
  readonly #readBytes: number;
  #segment = 0;
  /** Bytes of the current segment that have been read. */
  #readSoFar = 0;
  #buffer: Buffer = Buffer.alloc(0);
  #offset = 0;

  constructor(
    file: StagedBlob,
    segments: readonly Segment[],
    options: { readonly age: number; readonly readBytes: number },
  ) {
    this.#file = file;
    this.#segments = segments;
    this.age = options.age;
    this.#readBytes = options.readBytes;
  }

  /** Goes to the next record if it has been read already. */
  step(): boolean {
    const buffer = this.#buffer;
    const start = this.#offset;
    const keyStart = start + HEAD_BYTES;
    if (keyStart > buffer.length) return false;
    const valueStart = keyStart + buffer.readUInt16BE(start);
    const end = valueStart + buffer.readUInt32BE(start + 2);
    if (end > buffer.length) return false;
    this.key = buffer.subarray(keyStart, valueStart);
    this.value = buffer.subarray(valueStart, end);
    this.#offset = end;
    return true;
  }

  /** Reads on and goes to the next record; false behind the last. */
  async advance(): Promise<boolean> {
    for (;;) {
      if (this.step()) return true;
      const segment = this.#segments[this.#segment];
      if (segment === undefined) return false;
      const length = Math.min(this.#readBytes, segment.length - this.#readSoFar);
      const rest = this.#buffer.subarray(this.#offset);
      const more = await this.#file.read(segment.offset + this.#readSoFar, length);
      this.#buffer = rest.length === 0 ? bufferOf(more) : Buffer.concat([rest, more]);
      this.#offset = 0;
      this.#readSoFar += length;
      if (this.#readSoFar < segment.length) continue;
      this.#segment += 1;
      this.#readSoFar = 0;
    }
  }
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** The cursor with the lowest key; of equal keys, the youngest run's. */
class CursorHeap {
  readonly #cursors: RunCursor[];

  constructor(cursors: readonly RunCursor[]) {
    this.#cursors = [...cursors].sort(compareCursors);
  }

  get lowest(): RunCursor | undefined {
    return this.#cursors[0];
  }

  /** Finds the lowest again, after it has moved on. */
  settle(): void {
    const cursors = this.#cursors;
    const moved = cursors[0];
    if (moved === undefined) return;
    let position = 0;
    for (;;) {
      const left = 2 * position + 1;
      const [atLeft, atRight] = [cursors[left], cursors[left + 1]];
      if (atLeft === undefined) break;
      const isRight = atRight !== undefined && compareCursors(atRight, atLeft) < 0;
      const child = isRight ? atRight : atLeft;
      if (compareCursors(moved, child) <= 0) break;
      cursors[position] = child;
      position = isRight ? left + 1 : left;
    }
    cursors[position] = moved;
  }

  removeLowest(): void {
    const last = this.#cursors.pop();
    if (last === undefined || this.#cursors.length === 0) return;
    this.#cursors[0] = last;
    this.settle();
  }
}

function compareCursors(a: RunCursor, b: RunCursor): number {
  return Buffer.compare(a.key, b.key) || b.age - a.age;
}
