// Checks a slice as it arrives from a peer that may lie (FORMATS §5): nothing is handed on before its group has been
// hashed and found to be the one that the blob's hash commits to.
//
// The walk of `slicePlan` says what comes next; a stack holds the chaining values that are expected of the subtrees
// not yet entered. Of each message the pairs are taken from one field and the group bytes from the other, as the walk
// wants them, and an item may be cut anywhere between two messages. What the walk cannot take is surplus and refused
// at once, so memory is one item and the message, whatever the peer sends.
//
// Size: the tree's shape follows from the claimed size. A wrong claim is caught where the shapes differ on the way of
// the walk, and always once the last group has been reached: `sizeProved`. A slice that ends before it may verify
// under a wrong claim (FORMATS §5 says so too); its bytes are right all the same.
import { concatBytes, equalBytes, toHex } from "../bytes.js";
import { assert, IncompleteProof, VerificationFailed, type NeleusError } from "../errors.js";
import { groupChainingValue, parentChainingValue } from "../hash/index.js";
import type { BlobHash, Digest } from "../hashes.js";
import { BLOB_PREFIX, checkedRanges, PAIR_BYTES, type ByteRange, type ByteRanges } from "./shape.js";
import { slicePlan, type SliceGroup, type SliceItem, type SliceParent } from "./slice-plan.js";

/** A slice, or the part of one that travels in one message: its pairs and its group bytes, each in pre-order. */
export interface SlicePart {
  readonly parents: Uint8Array;
  readonly data: Uint8Array;
}

/** What a slice is to be checked against. */
export interface DecodeSliceOptions {
  readonly hash: BlobHash;
  /** The size that the blob is claimed to have. */
  readonly sizeBytes: number;
  /** What is wanted of it: one range, or several in ascending order. */
  readonly range: ByteRanges;
}

/** What was refused, kept so that it can be shown to others. */
export interface SliceEvidence {
  readonly hash: BlobHash;
  readonly sizeBytes: number;
  readonly item: SliceItem;
  readonly expected: Digest;
  /** The pair or group bytes received. */
  readonly bytes: Uint8Array;
}

export class SliceDecoder {
  readonly #hash: BlobHash;
  readonly #sizeBytes: number;
  readonly #ranges: readonly ByteRange[];
  /** The first range that the groups so far have not passed. */
  #rangeIndex = 0;
  readonly #plan: Generator<SliceItem, void, undefined>;
  /** Chaining values of the subtrees still to enter, the next one last. */
  readonly #expected: Digest[];
  #next: SliceItem | undefined;
  /** The next item as far as it has arrived, when a message ended inside it. */
  #partial: { readonly bytes: Uint8Array; filled: number } | undefined;
  #failure: NeleusError | undefined;
  #sizeProved = false;

  /** @throws InvalidArgument - a range is not one of a blob of that size (`field` says which part) */
  constructor(options: DecodeSliceOptions) {
    this.#hash = options.hash;
    this.#sizeBytes = options.sizeBytes;
    this.#ranges = checkedRanges(options.sizeBytes, options.range);
    this.#plan = slicePlan(options.sizeBytes, this.#ranges);
    this.#expected = [options.hash];
    this.#advance();
  }

  /** True once the last group has been checked: the blob has exactly the size that was claimed. */
  get sizeProved(): boolean {
    return this.#sizeProved;
  }

  /** True once every byte of the ranges has been checked and handed on. */
  get complete(): boolean {
    return this.#next === undefined;
  }

  /**
   * Checks the next part of the slice. Returns the bytes of the ranges that it completes, in order, cut to the ranges: a
   * piece lies in one of them. They may be views of `part.data`. After a failure every call fails likewise.
   * @throws VerificationFailed - bytes that do not belong to the blob, or that the walk does not want next
   */
  push(part: SlicePart): Uint8Array[] {
    if (this.#failure !== undefined) throw this.#failure;
    const parents = { bytes: part.parents, offset: 0 };
    const data = { bytes: part.data, offset: 0 };
    const pieces: Uint8Array[] = [];
    for (let item = this.#next; item !== undefined; item = this.#advance()) {
      const bytes = item.kind === "parent" ? this.#take(parents, PAIR_BYTES) : this.#take(data, item.end - item.start);
      if (bytes === undefined) break;
      if (item.kind === "parent") this.#enterParent(item, bytes);
      else this.#acceptGroup(item, bytes, pieces);
    }
    this.#refuseSurplus({ parents: remaining(parents), data: remaining(data) });
    return pieces;
  }

  /**
   * Ends the slice.
   * @throws IncompleteProof - part of the range is still missing
   */
  finish(): void {
    if (this.#failure !== undefined) throw this.#failure;
    const item = this.#next;
    if (item === undefined) return;
    const missing = item.kind === "parent" ? "an interior node" : `bytes ${item.start} to ${item.end}`;
    const [{ start } = { start: 0 }] = this.#ranges;
    const { end } = this.#ranges.at(-1) ?? { end: start };
    throw new IncompleteProof(`the slice of bytes ${start} to ${end} ends before ${missing}`, {
      facts: { hash: toHex(this.#hash) },
    });
  }

  #advance(): SliceItem | undefined {
    const { value } = this.#plan.next();
    this.#next = value ?? undefined;
    return this.#next;
  }

  /** The next `length` bytes: a view where one message holds them all, undefined until they are all here. */
  #take(source: Source, length: number): Uint8Array | undefined {
    const available = source.bytes.length - source.offset;
    if (this.#partial === undefined && available >= length) {
      source.offset += length;
      return source.bytes.subarray(source.offset - length, source.offset);
    }
    this.#partial ??= { bytes: new Uint8Array(length), filled: 0 };
    const { bytes, filled } = this.#partial;
    const end = source.offset + Math.min(available, length - filled);
    bytes.set(source.bytes.subarray(source.offset, end), filled);
    this.#partial.filled += end - source.offset;
    source.offset = end;
    if (this.#partial.filled < length) return undefined;
    this.#partial = undefined;
    return bytes;
  }

  #enterParent(item: SliceParent, pair: Uint8Array): void {
    this.#check(item, pair, parentChainingValue(pair, item));
    // Copied (slice of a Buffer does not), because the message may be gone when the walk comes to the right child.
    if (item.entersRight) this.#expected.push(new Uint8Array(pair.subarray(32)));
    if (item.entersLeft) this.#expected.push(new Uint8Array(pair.subarray(0, 32)));
  }

  #acceptGroup(item: SliceGroup, bytes: Uint8Array, pieces: Uint8Array[]): void {
    const input = item.groupIndex === 0 ? concatBytes(BLOB_PREFIX, bytes) : bytes;
    this.#check(item, bytes, groupChainingValue(input, item));
    if (item.end === this.#sizeBytes) this.#sizeProved = true;
    for (let range = this.#ranges[this.#rangeIndex]; range !== undefined && range.start < item.end;) {
      const start = Math.max(range.start, item.start) - item.start;
      const end = Math.min(range.end, item.end) - item.start;
      if (start < end) pieces.push(bytes.subarray(start, end));
      // It goes on in the next group.
      if (range.end > item.end) break;
      this.#rangeIndex += 1;
      range = this.#ranges[this.#rangeIndex];
    }
  }

  /** Compares what an item hashes to with what its parent, or for the root the blob's hash, says. */
  #check(item: SliceItem, bytes: Uint8Array, actual: Digest): void {
    const expected = this.#expected.pop();
    assert(expected !== undefined, "each item of the walk has an expected chaining value");
    if (equalBytes(expected, actual)) return;
    const what =
      item.kind === "group" ? `bytes ${item.start} to ${item.end}` : `interior node ${item.pairIndex} of its tree`;
    const evidence: SliceEvidence = {
      hash: this.#hash,
      sizeBytes: this.#sizeBytes,
      item,
      expected: new Uint8Array(expected),
      bytes: new Uint8Array(bytes),
    };
    throw this.#fail(
      new VerificationFailed(`blob ${toHex(this.#hash)}: ${what} do not match the hash`, {
        facts: { hash: toHex(this.#hash), expected: toHex(expected), actual: toHex(actual) },
        evidence,
      }),
    );
  }

  #refuseSurplus(surplus: { readonly parents: number; readonly data: number }): void {
    if (surplus.parents === 0 && surplus.data === 0) return;
    const where = this.#next === undefined ? "after the end of the slice" : "before what the walk wants next";
    throw this.#fail(
      new VerificationFailed(
        `blob ${toHex(this.#hash)}: ${surplus.parents} bytes of interior nodes and ${surplus.data} of content ${where}`,
        { facts: { hash: toHex(this.#hash) } },
      ),
    );
  }

  #fail(failure: VerificationFailed): VerificationFailed {
    this.#failure = failure;
    return failure;
  }
}

interface Source {
  readonly bytes: Uint8Array;
  offset: number;
}

function remaining(source: Source): number {
  return source.bytes.length - source.offset;
}
