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
import { groupChainingValue, groupChainingValues, parentChainingValue } from "../hash/index.js";
import type { BlobHash, Digest } from "../hashes.js";
import { BLOB_GROUP_BYTES } from "../limits.js";
import { BLOB_PREFIX, checkedRanges, groupOf, PAIR_BYTES, type ByteRange, type ByteRanges } from "./shape.js";
import { slicePlan, type SliceGroup, type SliceItem, type SliceParent } from "./slice-plan.js";

const DIGEST_BYTES = 32;
/** Groups of a message that are hashed at once, at most: a wrong one is noticed before more are looked at. */
const MAX_GROUPS_AHEAD = 16;

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
  /** Chaining values of groups of the message in hand, from number `first` to before `end`. */
  #ahead: { readonly first: number; readonly end: number; readonly values: Uint8Array } | undefined;
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
    const pieces = new Pieces();
    for (let item = this.#next; item !== undefined; item = this.#advance()) {
      if (item.kind === "parent") {
        const pair = this.#take(parents, PAIR_BYTES);
        if (pair === undefined) break;
        this.#enterParent(item, pair);
      } else {
        if (this.#partial === undefined) this.#hashAhead(item, data);
        const bytes = this.#take(data, item.end - item.start);
        if (bytes === undefined) break;
        this.#acceptGroup(item, bytes, pieces);
      }
    }
    this.#ahead = undefined;
    this.#refuseSurplus({ parents: remaining(parents), data: remaining(data) });
    return pieces.finish();
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

  /**
   * Hashes the full groups of a message at once, of which this is the next, as far as the range goes. Nothing is taken to
   * be right by that: each is held against its parent in its turn.
   */
  #hashAhead(item: SliceGroup, data: Source): void {
    const { groupIndex } = item;
    if (groupIndex === 0 || (this.#ahead !== undefined && groupIndex < this.#ahead.end)) return;
    const range = this.#ranges[this.#rangeIndex];
    const inRange = range === undefined ? 0 : groupOf(range.end - 1) + 1 - groupIndex;
    const count = Math.min(Math.floor(remaining(data) / BLOB_GROUP_BYTES), inRange, MAX_GROUPS_AHEAD);
    if (count < 2) return;
    const groups = data.bytes.subarray(data.offset, data.offset + count * BLOB_GROUP_BYTES);
    this.#ahead = { first: groupIndex, end: groupIndex + count, values: groupChainingValues(groups, groupIndex) };
  }

  #chainingValue(item: SliceGroup, bytes: Uint8Array): Digest {
    const { groupIndex } = item;
    const ahead = this.#ahead;
    if (
      ahead !== undefined &&
      bytes.length === BLOB_GROUP_BYTES &&
      groupIndex >= ahead.first &&
      groupIndex < ahead.end
    ) {
      const at = (groupIndex - ahead.first) * DIGEST_BYTES;
      return ahead.values.subarray(at, at + DIGEST_BYTES);
    }
    return groupChainingValue(groupIndex === 0 ? concatBytes(BLOB_PREFIX, bytes) : bytes, item);
  }

  #acceptGroup(item: SliceGroup, bytes: Uint8Array, pieces: Pieces): void {
    this.#check(item, bytes, this.#chainingValue(item, bytes));
    if (item.end === this.#sizeBytes) this.#sizeProved = true;
    for (let range = this.#ranges[this.#rangeIndex]; range !== undefined && range.start < item.end;) {
      const start = Math.max(range.start, item.start) - item.start;
      const end = Math.min(range.end, item.end) - item.start;
      if (start < end) pieces.add(bytes, start, end);
      // It goes on in the next group.
      if (range.end > item.end) break;
      pieces.cut();
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

/** What is handed out: bytes that lie one behind the other in a message and in a range are one piece. */
class Pieces {
  readonly #whole: Uint8Array[] = [];
  #last: Uint8Array | undefined;

  add(bytes: Uint8Array, start: number, end: number): void {
    const last = this.#last;
    const follows = last?.buffer === bytes.buffer && last.byteOffset + last.length === bytes.byteOffset + start;
    if (!follows) this.cut();
    const from = follows ? last.byteOffset : bytes.byteOffset + start;
    this.#last = new Uint8Array(bytes.buffer, from, bytes.byteOffset + end - from);
  }

  /** What comes next is a piece of its own. */
  cut(): void {
    if (this.#last !== undefined) this.#whole.push(this.#last);
    this.#last = undefined;
  }

  finish(): Uint8Array[] {
    this.cut();
    return this.#whole;
  }
}

interface Source {
  readonly bytes: Uint8Array;
  offset: number;
}

function remaining(source: Source): number {
  return source.bytes.length - source.offset;
}
