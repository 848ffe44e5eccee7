// Records that are too many for memory, sorted by key on disk: written in runs that are sorted in memory, merged when read.
//
//   record   { length of key, 2 bytes ‖ length of value, 4 bytes ‖ key ‖ value }   big-endian
//
// Runs are segments of a staged file that several spools share, one behind the other. Input that comes sorted is one run
// whatever its length. The file means nothing to anybody but these objects, so it carries no marks.
// Memory is one unsorted run while records are added, and the same sorted; and LOAD_READ_BYTES for all runs together while they
// are read. All of it is used again and again: what is made anew for each run waits for V8 to collect it, which takes its time.
//
// Both sorts go by numbers: some bytes of each key behind those that all keys share. Whole keys are compared only where these
// are the same, and nothing is made of a record until it is handed out.
import { compareBytes } from "../core/bytes.js";
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
  readonly firstKey: Buffer;
  lastKey: Buffer;
}

export class SortedSpool {
  readonly #file: StagedBlob;
  readonly #runs: Run[] = [];
  #buffer: Buffer;
  #view: DataView;
  /** Where a run is sorted, if one has to be. */
  #sorted: Buffer | undefined;
  #bufferBytes = 0;
  /** Where each record in the buffer starts. */
  #starts: number[] = [];
  #isAscending = true;

  /** `runBytes`: what is sorted in memory at a time, at most 7 MiB; no record is larger. */
  constructor(file: StagedBlob, options: { readonly runBytes: number }) {
    this.#file = file;
    this.#buffer = Buffer.allocUnsafeSlow(options.runBytes);
    this.#view = viewOf(this.#buffer);
  }

  /** Takes a record, which is copied; false where there is no room for it: then `endRun` makes some. */
  add({ key, value }: SpooledRecord): boolean {
    const buffer = this.#buffer;
    const start = this.#bufferBytes;
    const keyStart = start + HEAD_BYTES;
    const end = keyStart + key.length + value.length;
    if (end > buffer.length) return false;
    this.#view.setUint16(start, key.length);
    this.#view.setUint32(start + 2, value.length);
    buffer.set(key, keyStart);
    buffer.set(value, keyStart + key.length);
    this.#bufferBytes = end;
    if (this.#isAscending) {
      const previous = this.#starts.at(-1);
      if (previous !== undefined && this.#compare(previous, start) >= 0) this.#isAscending = false;
    }
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
      this.#runs.push({ segments: [segment], firstKey: first, lastKey: last });
    }
    this.#bufferBytes = 0;
    this.#starts = [];
    this.#isAscending = true;
  }

  /** To be called once, behind the last record. */
  async end(): Promise<void> {
    await this.endRun();
    this.#buffer = Buffer.alloc(0);
    this.#view = viewOf(this.#buffer);
    this.#sorted = undefined;
  }

  /**
   * All records in strictly ascending order of key, a few at a time. Of equal keys the one that was added last. Records are
   * views, of arrays that are overwritten once the next few are asked for.
   */
  async *records(): AsyncGenerator<SpooledRecord[], void, undefined> {
    const heap = await this.#openRuns();
    let batch: SpooledRecord[] = [];
    let batchBytes = 0;
    let previous: Uint8Array | undefined;
    for (let lowest = heap.lowest; lowest !== undefined; lowest = heap.lowest) {
      // Equal keys come with the youngest first.
      if (previous === undefined || !lowest.hasKey(previous)) {
        const record = lowest.record();
        previous = record.key;
        batch.push(record);
        batchBytes += record.value.length;
      }
      let hasNext = lowest.step();
      if (!hasNext) {
        // What was handed out is overwritten now.
        if (batch.length > 0) yield batch;
        batch = [];
        batchBytes = 0;
        // Not `slice`: of a Buffer that is a view.
        previous = new Uint8Array(previous);
        hasNext = await lowest.advance();
      }
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
    const sharedBytes = this.#bytesSharedByRuns();
    const cursors: RunCursor[] = [];
    for (const [age, { segments }] of this.#runs.entries()) {
      const cursor = new RunCursor(this.#file, segments, { age, readBytes, sharedBytes });
      if (await cursor.advance()) cursors.push(cursor);
    }
    return new CursorHeap(cursors);
  }

  /** Bytes that all keys of all runs begin with: the lowest and the highest do. */
  #bytesSharedByRuns(): number {
    const [first] = this.#runs;
    if (first === undefined) return 0;
    let { firstKey: lowest, lastKey: highest } = first;
    for (const { firstKey, lastKey } of this.#runs) {
      if (Buffer.compare(firstKey, lowest) < 0) lowest = firstKey;
      if (Buffer.compare(lastKey, highest) > 0) highest = lastKey;
    }
    let shared = 0;
    while (shared < lowest.length && shared < highest.length && lowest[shared] === highest[shared]) shared += 1;
    return shared;
  }

  /**
   * Where the records start, in order of key; of equal keys the last added. Numbers of 33 bits behind what all keys share,
   * and the position, are sorted without a call for each comparison; only records with the same bits are compared.
   */
  #sortedStarts(): number[] {
    const starts = this.#starts;
    const shared = this.#sharedBytes();
    const packed = new Float64Array(starts.length);
    for (const [position, start] of starts.entries())
      packed[position] = this.#bitsAt(start, shared) * POSITIONS + position;
    packed.sort();
    const sorted: number[] = [];
    for (let first = 0; first < packed.length;) {
      const bits = Math.floor((packed[first] ?? 0) / POSITIONS);
      let end = first + 1;
      while (end < packed.length && Math.floor((packed[end] ?? 0) / POSITIONS) === bits) end += 1;
      if (end === first + 1) sorted.push(starts[(packed[first] ?? 0) % POSITIONS] ?? 0);
      else this.#sortAlike(packed.subarray(first, end), sorted);
      first = end;
    }
    return sorted;
  }

  /** Appends records with the same bits. */
  #sortAlike(packed: Float64Array, sorted: number[]): void {
    const group = Array.from(packed, (number) => this.#starts[number % POSITIONS] ?? 0);
    group.sort((a, b) => this.#compare(a, b));
    for (const [position, start] of group.entries()) {
      // The sort is stable, so of equal keys the last is the newest.
      const next = group[position + 1];
      if (next === undefined || this.#compare(start, next) !== 0) sorted.push(start);
    }
  }

  /** Bytes that all keys begin with. */
  #sharedBytes(): number {
    const buffer = this.#buffer;
    const first = (this.#starts[0] ?? 0) + HEAD_BYTES;
    let shared = this.#view.getUint16(first - HEAD_BYTES);
    for (const start of this.#starts) {
      const most = Math.min(shared, this.#view.getUint16(start));
      shared = 0;
      while (shared < most && buffer[first + shared] === buffer[start + HEAD_BYTES + shared]) shared += 1;
      if (shared === 0) break;
    }
    return shared;
  }

  /** 33 bits of a key; what lies behind its end counts as zeros, so that keys with the same bits may still differ. */
  #bitsAt(start: number, offset: number): number {
    const buffer = this.#buffer;
    const end = start + HEAD_BYTES + this.#view.getUint16(start);
    const from = start + HEAD_BYTES + offset;
    if (from + 5 <= end) return this.#view.getUint32(from) * 2 + ((buffer[from + 4] ?? 0) >> 7);
    let bits = 0;
    for (let index = from; index < from + 4; index += 1) bits = bits * 256 + (index < end ? (buffer[index] ?? 0) : 0);
    return bits * 2 + (from + 4 < end ? (buffer[from + 4] ?? 0) >> 7 : 0);
  }

  #copied(starts: readonly number[]): Buffer {
    const copy = (this.#sorted ??= Buffer.allocUnsafeSlow(this.#buffer.length));
    let end = 0;
    for (const start of starts) {
      const size = HEAD_BYTES + this.#view.getUint16(start) + this.#view.getUint32(start + 2);
      end += this.#buffer.copy(copy, end, start, start + size);
    }
    return copy.subarray(0, end);
  }

  #keyAt(start: number): Buffer {
    return this.#buffer.subarray(start + HEAD_BYTES, start + HEAD_BYTES + this.#view.getUint16(start));
  }

  /** Compares the keys of two records in the buffer, bytewise. */
  #compare(a: number, b: number): number {
    const buffer = this.#buffer;
    const lengthOfA = this.#view.getUint16(a);
    const lengthOfB = this.#view.getUint16(b);
    const end = HEAD_BYTES + Math.min(lengthOfA, lengthOfB);
    for (let index = HEAD_BYTES; index < end; index += 1) {
      const difference = (buffer[a + index] ?? 0) - (buffer[b + index] ?? 0);
      if (difference !== 0) return difference;
    }
    return lengthOfA - lengthOfB;
  }
}

/** Positions in a run: what is left of a number beside 33 bits. */
const POSITIONS = 2 ** 20;

function viewOf(buffer: Uint8Array): DataView {
  return new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
}

/** Reads a run from its first record to its last, into one array: `advance` overwrites what was handed out. */
class RunCursor {
  readonly age: number;
  /** 48 bits of the key behind what all keys share: a lower number is a lower key. */
  bits = 0;
  readonly #file: StagedBlob;
  readonly #segments: readonly Segment[];
  readonly #readBytes: number;
  readonly #sharedBytes: number;
  #segment = 0;
  /** Bytes of the current segment that have been read. */
  #readSoFar = 0;
  #buffer: Uint8Array = new Uint8Array(0);
  #view: DataView = viewOf(this.#buffer);
  /** Bytes of the buffer that have been read. */
  #bufferBytes = 0;
  /** The current record. */
  #keyStart = 0;
  #valueStart = 0;
  #end = 0;

  constructor(
    file: StagedBlob,
    segments: readonly Segment[],
    options: { readonly age: number; readonly readBytes: number; readonly sharedBytes: number },
  ) {
    this.#file = file;
    this.#segments = segments;
    this.age = options.age;
    this.#readBytes = options.readBytes;
    this.#sharedBytes = options.sharedBytes;
  }

  get #key(): Uint8Array {
    return this.#buffer.subarray(this.#keyStart, this.#valueStart);
  }

  /** The current record: views of what was read. */
  record(): SpooledRecord {
    return { key: this.#key, value: this.#buffer.subarray(this.#valueStart, this.#end) };
  }

  hasKey(key: Uint8Array): boolean {
    if (this.#valueStart - this.#keyStart !== key.length) return false;
    // From its end: neighbours differ there.
    for (let index = key.length - 1; index >= 0; index -= 1) {
      if (this.#buffer[this.#keyStart + index] !== key[index]) return false;
    }
    return true;
  }

  /** Below 0: this key is the lower one, or the same in a younger run. */
  compare(other: RunCursor): number {
    return this.bits - other.bits || compareBytes(this.#key, other.#key) || other.age - this.age;
  }

  /** Goes to the next record if it has been read already. */
  step(): boolean {
    const start = this.#end;
    const keyStart = start + HEAD_BYTES;
    if (keyStart > this.#bufferBytes) return false;
    const valueStart = keyStart + this.#view.getUint16(start);
    const end = valueStart + this.#view.getUint32(start + 2);
    if (end > this.#bufferBytes) return false;
    this.#keyStart = keyStart;
    this.#valueStart = valueStart;
    this.#end = end;
    this.bits = this.#bitsOfKey();
    return true;
  }

  /** What lies behind the end of the key counts as zeros. */
  #bitsOfKey(): number {
    const from = this.#keyStart + this.#sharedBytes;
    if (from + 6 <= this.#valueStart) return this.#view.getUint32(from) * 65_536 + this.#view.getUint16(from + 4);
    let bits = 0;
    for (let index = from; index < from + 6; index += 1) {
      bits = bits * 256 + (index < this.#valueStart ? (this.#buffer[index] ?? 0) : 0);
    }
    return bits;
  }

  /** Reads on and goes to the next record; false behind the last. */
  async advance(): Promise<boolean> {
    for (;;) {
      if (this.step()) return true;
      const segment = this.#segments[this.#segment];
      if (segment === undefined) return false;
      const length = Math.min(this.#readBytes, segment.length - this.#readSoFar);
      const start = this.#makeRoom(length);
      await this.#file.readInto(segment.offset + this.#readSoFar, this.#buffer.subarray(start, start + length));
      this.#bufferBytes = start + length;
      this.#readSoFar += length;
      if (this.#readSoFar < segment.length) continue;
      this.#segment += 1;
      this.#readSoFar = 0;
    }
  }

  /** Moves what has not been handed out to the front. Returns where it ends; there is room for `length` bytes behind it. */
  #makeRoom(length: number): number {
    const rest = this.#bufferBytes - this.#end;
    const from = this.#buffer;
    if (rest + length > from.length) {
      this.#buffer = Buffer.allocUnsafeSlow(rest + length);
      this.#view = viewOf(this.#buffer);
    }
    this.#buffer.set(from.subarray(this.#end, this.#bufferBytes));
    this.#end = 0;
    return rest;
  }
}

/** The cursor with the lowest key; of equal keys, the youngest run's. */
class CursorHeap {
  readonly #cursors: RunCursor[];

  constructor(cursors: readonly RunCursor[]) {
    this.#cursors = [...cursors].sort((a, b) => a.compare(b));
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
      const atLeft = cursors[left];
      const atRight = cursors[left + 1];
      if (atLeft === undefined) break;
      const isRight = atRight !== undefined && atRight.compare(atLeft) < 0;
      const child = isRight ? atRight : atLeft;
      if (moved.compare(child) <= 0) break;
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
