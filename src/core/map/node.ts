// A whole node of a map: its digest (FORMATS §3) and its stored form.
//
// Stored form, the store's row under the node's digest:
//
//   01 ‖ kind ‖ level ‖ count ‖ count × (length of entry, 2 bytes big-endian) ‖ the entries' exact bytes
//
// A digest covers entries, not these bytes, so the first byte may one day name another form. What is hashed is
//
//   H_state_node(86 01 ‖ kind ‖ level ‖ count ‖ total ‖ 58 20 ‖ entries root)
//
// Decoding is strict and costs about 50 ns an entry; recomputing the digest, which is how corruption is noticed, about
// 0.3 µs an entry. The hashes are then kept, for the proofs that pass through this node.
import { equalBytes, toHex } from "../bytes.js";
import { Corrupt, Malformed, assert } from "../errors.js";
import { hashTagged } from "../hash/index.js";
import type { Digest } from "../hashes.js";
import { MAX_LEVEL, MAX_NODE_ENTRIES } from "../limits.js";
import { EntryTable } from "./entry-table.js";
import { writeUnsigned } from "./entry.js";
import type { MapKind } from "./kind.js";
import { isMapKind } from "./kind.js";
import { treeOfEntries, type TreeHashes } from "./merkle.js";
import type { CheckableNode } from "./view.js";

const STORED_VERSION = 1;
const STORED_HEADER_BYTES = 4;
const LENGTH_BYTES = 2;

const DIGEST_BYTES = 32;
const LIST_OF_SIX = 0x86;
const HEADER_VERSION = 1;
const BYTES_IN_ONE_BYTE = 0x58;
/** Three heads of one byte, level and count of up to two, total of up to nine, the root with its head. */
const MAX_HEADER_BYTES = 3 + 2 + 2 + 9 + 2 + DIGEST_BYTES;

/** What a node's digest is made from. */
export interface NodeHeader {
  readonly kind: number;
  readonly level: number;
  readonly count: number;
  readonly total: number;
}

/** Entries of a node to be, in ascending order of key, from our own code. */
export interface NodeContent {
  readonly kind: MapKind;
  readonly level: number;
  /** Keys below the node. */
  readonly total: number;
  readonly entries: readonly Uint8Array[];
}

/** A whole node. Immutable. From `decodeNode`, `verifyNode` or `createNodes`. */
export class MapNode implements CheckableNode {
  readonly kind: MapKind;
  readonly level: number;
  readonly count: number;
  readonly total: number;
  /** The stored form. Not to be written to. */
  readonly stored: Uint8Array;
  #entriesRead: EntryTable | undefined;
  #digest: Digest | undefined;
  #tree: TreeHashes | undefined;

  /** Without `entries` they are read when first asked for, which is right only for bytes that we made ourselves. */
  constructor(parts: {
    readonly kind: MapKind;
    readonly level: number;
    readonly count: number;
    readonly total: number;
    readonly stored: Uint8Array;
    readonly digest: Digest | undefined;
    readonly entries?: EntryTable;
    readonly tree?: TreeHashes;
  }) {
    this.kind = parts.kind;
    this.level = parts.level;
    this.count = parts.count;
    this.total = parts.total;
    this.stored = parts.stored;
    this.#digest = parts.digest;
    this.#entriesRead = parts.entries;
    this.#tree = parts.tree;
  }

  get #entries(): EntryTable {
    return (this.#entriesRead ??= readEntries(this.stored, this));
  }

  /** The node's digest; computed on first use where it was not given. */
  get digest(): Digest {
    return (this.#digest ??= hashTagged("state_node:", encodeHeader(this, this.tree.root)));
  }

  hasDigest(digest: Digest): boolean {
    return equalBytes(this.digest, digest);
  }

  /** Hashes of the tree inside the node; computed on first use, then kept. */
  get tree(): TreeHashes {
    return (this.#tree ??= this.#entries.treeHashes());
  }

  get lowestKnownKey(): Uint8Array | undefined {
    return this.count > 0 ? this.#entries.key(0) : undefined;
  }

  get highestKnownKey(): Uint8Array | undefined {
    return this.keyBelow(this.count);
  }

  compareLowestKnown(key: Uint8Array): number {
    return this.count > 0 ? this.#entries.compareKey(0, key) : NaN;
  }

  compareHighestKnown(key: Uint8Array): number {
    return this.count > 0 ? this.#entries.compareKey(this.count - 1, key) : NaN;
  }

  get knowsLastKey(): boolean {
    return true;
  }

  seek(key: Uint8Array): number {
    return this.#entries.seek(key);
  }

  keyBelow(index: number): Uint8Array | undefined {
    return index > 0 ? this.#entries.key(index - 1) : undefined;
  }

  key(index: number): Uint8Array {
    return this.#entries.key(index);
  }

  cell(index: number): Uint8Array {
    return this.#entries.cell(index);
  }

  childDigest(index: number): Digest {
    return this.#entries.childDigest(index);
  }

  childTotal(index: number): number {
    return this.#entries.childTotal(index);
  }

  entryBytes(index: number): Uint8Array {
    return this.#entries.entryBytes(index);
  }

  /** Nothing to note: the whole node is here. */
  touch(): void {
    // A recorder's view of this node notes what is touched.
  }
}

/** Header bytes of a node, as hashed. */
export function encodeHeader(header: NodeHeader, entriesRoot: Digest): Uint8Array {
  const bytes = new Uint8Array(MAX_HEADER_BYTES);
  const rootStart = writeHeader(bytes, 0, header);
  bytes.set(entriesRoot, rootStart);
  return bytes.subarray(0, rootStart + DIGEST_BYTES);
}

/** Most nodes whose headers fit in the array that is used again. */
const SCRATCH_HEADERS = 64;
// Nothing here waits or calls back, so no two calls are ever in progress at once; making an array costs more than filling it.
const scratchHeaders = new Uint8Array(SCRATCH_HEADERS * MAX_HEADER_BYTES);

/**
 * Headers of several nodes, one behind the other, each without the entries root that belongs behind it. The bytes are good
 * until the next call.
 */
export function encodeHeads(headers: readonly NodeHeader[]): { readonly bytes: Uint8Array; readonly starts: number[] } {
  const bytes = headers.length <= SCRATCH_HEADERS ? scratchHeaders : new Uint8Array(headers.length * MAX_HEADER_BYTES);
  const starts = [0];
  let end = 0;
  for (const header of headers) {
    end = writeHeader(bytes, end, header);
    starts.push(end);
  }
  return { bytes, starts };
}

/** Writes a header up to its entries root, and returns where that goes. */
function writeHeader(bytes: Uint8Array, start: number, header: NodeHeader): number {
  bytes[start] = LIST_OF_SIX;
  bytes[start + 1] = HEADER_VERSION;
  bytes[start + 2] = header.kind;
  let offset = writeUnsigned(bytes, start + 3, header.level);
  offset = writeUnsigned(bytes, offset, header.count);
  offset = writeUnsigned(bytes, offset, header.total);
  bytes[offset] = BYTES_IN_ONE_BYTE;
  bytes[offset + 1] = DIGEST_BYTES;
  return offset + 2;
}

/**
 * Reads a stored node, strictly. Its digest is what the caller was told, unchecked, or is computed when asked for.
 * @throws Malformed - not the stored form of a possible node
 */
export function decodeNode(stored: Uint8Array, trusted?: { readonly digest: Digest }): MapNode {
  const { kind, level, count } = readStoredHeader(stored);
  const entries = new EntryTable({ level, bytes: stored, starts: readStarts(stored, count), first: 0, size: count });
  const total = entries.sumOfTotals();
  if (!Number.isSafeInteger(total)) throw new Malformed("the total of a node is beyond 2^53 − 1");
  // Field by field: an object spread here cost 12 µs and left garbage in the old generation (Node 20).
  return new MapNode({ kind, level, count, total, stored, entries, digest: trusted?.digest });
}

/**
 * Reads a stored node and requires it to be the one of this digest.
 * @throws Corrupt - it is not; `facts.hash` names the digest
 */
export function verifyNode(stored: Uint8Array, digest: Digest): MapNode {
  let node: MapNode;
  try {
    node = decodeNode(stored);
  } catch (cause) {
    if (!(cause instanceof Malformed)) throw cause;
    throw new Corrupt(`map node ${toHex(digest)}: ${cause.message}`, { facts: { hash: toHex(digest) } }, { cause });
  }
  if (!equalBytes(node.digest, digest)) {
    throw new Corrupt(`map node ${toHex(digest)}: the stored bytes have the digest ${toHex(node.digest)}`, {
      facts: { hash: toHex(digest), actual: toHex(node.digest) },
    });
  }
  return node;
}

/** The one node of a map without keys. Its digest is the root that proves every absence. */
export function emptyMap(kind: MapKind): MapNode {
  return decodeNode(encodeNode({ kind, level: 0, total: 0, entries: [] }));
}

/** The stored form. */
export function encodeNode(content: NodeContent): Uint8Array {
  const { entries } = content;
  assert(entries.length <= MAX_NODE_ENTRIES, "a node has at most 64 entries");
  let size = STORED_HEADER_BYTES + entries.length * LENGTH_BYTES;
  for (const entry of entries) size += entry.length;
  const stored = new Uint8Array(size);
  stored[0] = STORED_VERSION;
  stored[1] = content.kind;
  stored[2] = content.level;
  stored[3] = entries.length;
  let table = STORED_HEADER_BYTES;
  let offset = STORED_HEADER_BYTES + entries.length * LENGTH_BYTES;
  for (const entry of entries) {
    stored[table] = entry.length >> 8;
    stored[table + 1] = entry.length & 0xff;
    table += LENGTH_BYTES;
    stored.set(entry, offset);
    offset += entry.length;
  }
  return stored;
}

/** New nodes of entries of our own, at least one each, with their digests and the hashes of their trees. */
export function createNodes(contents: readonly NodeContent[]): MapNode[] {
  return contents.map((content) => {
    const { kind, level, total, entries } = content;
    const count = entries.length;
    const stored = encodeNode(content);
    const tree = treeOfEntries(stored, readStarts(stored, count));
    const digest = hashTagged("state_node:", encodeHeader({ kind, level, count, total }, tree.root));
    return new MapNode({ kind, level, count, total, stored, digest, tree });
  });
}

function readStoredHeader(stored: Uint8Array): { kind: MapKind; level: number; count: number } {
  const [version, kind, level, count] = stored;
  if (version === undefined || kind === undefined || level === undefined || count === undefined) {
    throw new Malformed(`a stored map node has at least ${STORED_HEADER_BYTES} bytes, not ${stored.length}`);
  }
  if (version !== STORED_VERSION) throw new Malformed(`stored map node of unknown version ${version}`);
  if (!isMapKind(kind)) throw new Malformed(`stored map node of unknown kind ${kind}`);
  if (level > MAX_LEVEL) throw new Malformed(`stored map node of level ${level}`);
  if (count > MAX_NODE_ENTRIES || (count === 0 && level > 0)) {
    throw new Malformed(`stored map node of ${count} entries at level ${level}`);
  }
  return { kind, level, count };
}

function readEntries(stored: Uint8Array, header: { readonly level: number; readonly count: number }): EntryTable {
  const { level, count } = header;
  return new EntryTable({ level, bytes: stored, starts: readStarts(stored, count), first: 0, size: count });
}

function readStarts(stored: Uint8Array, count: number): number[] {
  const starts: number[] = [];
  let offset = STORED_HEADER_BYTES + count * LENGTH_BYTES;
  for (let index = 0; index < count; index += 1) {
    starts.push(offset);
    const table = STORED_HEADER_BYTES + index * LENGTH_BYTES;
    offset += ((stored[table] ?? 0) << 8) | (stored[table + 1] ?? 0);
  }
  starts.push(offset);
  if (offset !== stored.length) throw new Malformed("the lengths in a stored map node do not add up to its size");
  return starts;
}
