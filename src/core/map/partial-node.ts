// The nodes of a witness, as a verifier sees them: read from reveals that may say anything (FORMATS §4).
//
// Of each reveal everything that needs no hash is checked first, so that a message full of rubbish costs a few bytes of
// looking at it. Then all are hashed, entries, trees and headers, in one call of the kernel. The entries are
// copied into one array a batch: what a verifier hands out holds no message alive, and nobody can change it after it was
// checked.
import { IncompleteProof, Malformed, VerificationFailed } from "../errors.js";
import { hashPartialTrees } from "../hash/index.js";
import type { Digest } from "../hashes.js";
import { MAX_ENTRY_BYTES, MAX_LEVEL, MAX_NODE_ENTRIES } from "../limits.js";
import { EntryTable, type EntryTableInput } from "./entry-table.js";
import type { MapKind } from "./kind.js";
import { isMapKind } from "./kind.js";
import { emptyEntriesRoot } from "./merkle.js";
import { encodeHeads } from "./node.js";
import { PartialTreePlan } from "./partial-tree.js";
import type { Reveal } from "./reveal.js";
import type { CheckableNode } from "./view.js";

const DIGEST_BYTES = 32;

/** A partly shown node whose digest was computed from what is shown. */
export class PartialNode implements CheckableNode {
  readonly kind: MapKind;
  readonly level: number;
  readonly count: number;
  readonly total: number;
  /** As it was received: evidence, where something is wrong. */
  readonly reveal: Reveal;
  readonly #indices: readonly number[];
  readonly #entries: EntryTable;
  /** Where its digest lies among the bytes of the entries. */
  readonly #digestStart: number;

  constructor(form: CheckedForm, digestStart: number) {
    this.kind = form.kind;
    this.level = form.reveal.level;
    this.count = form.reveal.count;
    this.total = form.reveal.total;
    this.reveal = form.reveal;
    this.#indices = form.indices;
    this.#entries = form.entries;
    this.#digestStart = digestStart;
  }

  get digest(): Digest {
    return this.#entries.bytes.subarray(this.#digestStart, this.#digestStart + DIGEST_BYTES);
  }

  hasDigest(digest: Digest): boolean {
    const { bytes } = this.#entries;
    for (let index = 0; index < DIGEST_BYTES; index += 1) {
      if (bytes[this.#digestStart + index] !== digest[index]) return false;
    }
    return digest.length === DIGEST_BYTES;
  }

  get lowestKnownKey(): Uint8Array | undefined {
    return this.#indices.length > 0 ? this.#entries.key(0) : undefined;
  }

  get highestKnownKey(): Uint8Array | undefined {
    return this.#indices.length > 0 ? this.#entries.key(this.#indices.length - 1) : undefined;
  }

  compareLowestKnown(key: Uint8Array): number {
    return this.#indices.length > 0 ? this.#entries.compareKey(0, key) : NaN;
  }

  compareHighestKnown(key: Uint8Array): number {
    const { length } = this.#indices;
    return length > 0 ? this.#entries.compareKey(length - 1, key) : NaN;
  }

  get knowsLastKey(): boolean {
    return this.#indices.at(-1) === this.count - 1;
  }

  seek(key: Uint8Array): number {
    return this.#indices[this.#entries.seek(key)] ?? this.count;
  }

  keyBelow(index: number): Uint8Array | undefined {
    let position = this.#indices.length;
    while (position > 0 && (this.#indices[position - 1] ?? 0) >= index) position -= 1;
    return position > 0 ? this.#entries.key(position - 1) : undefined;
  }

  key(index: number): Uint8Array {
    return this.#entries.key(this.#positionOf(index));
  }

  cell(index: number): Uint8Array {
    return this.#entries.cell(this.#positionOf(index));
  }

  childDigest(index: number): Digest {
    return this.#entries.childDigest(this.#positionOf(index));
  }

  childTotal(index: number): number {
    return this.#entries.childTotal(this.#positionOf(index));
  }

  entryBytes(index: number): Uint8Array {
    return this.#entries.entryBytes(this.#positionOf(index));
  }

  touch(first: number, end: number): void {
    for (let index = first; index < end; index += 1) this.#positionOf(index);
  }

  #positionOf(index: number): number {
    // Where all entries are shown, which is the rule in scans, each lies at its own index.
    const position = this.#indices[index] === index ? index : this.#indices.indexOf(index);
    if (position >= 0) return position;
    throw new IncompleteProof(
      `the proof does not show entry ${index} of a node of ${this.count} entries at level ${this.level}`,
      { facts: { level: String(this.level), index: String(index) } },
    );
  }
}

/** A reveal that passed every check that needs no hash. */
interface CheckedForm {
  readonly reveal: Reveal;
  readonly kind: MapKind;
  readonly indices: readonly number[];
  readonly entries: EntryTable;
}

/**
 * Checks the form of every reveal, then computes their digests. What they have to do with each other, or with what was
 * asked, is for `faultAgainst`.
 * @throws VerificationFailed - a rule of FORMATS §4 is broken; `evidence` is the reveal
 */
export function openReveals(reveals: readonly Reveal[]): PartialNode[] {
  const { forms, bytes, starts, digestsStart } = checkForms(reveals);
  const plan = new PartialTreePlan({ entries: starts.length - 1, siblings: countSiblings(reveals) });
  const given: Uint8Array[] = [];
  for (const { reveal, indices } of forms) {
    // The one node without entries has a tree of its own: its root stands in as a sibling.
    const isEmpty = reveal.count === 0;
    const siblings = isEmpty ? emptyEntriesRoot() : reveal.siblings;
    if (!plan.add({ count: isEmpty ? 1 : reveal.count, indices, siblings })) {
      throw refusal("its siblings are not as many as its indices imply", reveal);
    }
    given.push(siblings);
  }
  const { joins, roots } = plan.inLayers();
  const heads = encodeHeads(reveals);
  const digests = bytes.subarray(digestsStart);
  hashPartialTrees(
    {
      leafTag: "state_leaf:",
      leaves: bytes,
      leafStarts: starts,
      given,
      joins,
      roots,
      headTag: "state_node:",
      heads: heads.bytes,
      headStarts: heads.starts,
    },
    digests,
  );
  return forms.map((form, position) => new PartialNode(form, digestsStart + position * DIGEST_BYTES));
}

function countSiblings(reveals: readonly Reveal[]): number {
  let count = 0;
  for (const reveal of reveals) count += reveal.count === 0 ? 1 : Math.ceil(reveal.siblings.length / 32);
  return count;
}

/** The failure of a reveal, which it carries as evidence. */
export function refusal(why: string, reveal: Reveal, cause?: unknown): VerificationFailed {
  return new VerificationFailed(
    `a proof holds a node that cannot be: ${why}`,
    { evidence: reveal, facts: { level: String(reveal.level), reason: why } },
    { cause },
  );
}

interface CheckedForms {
  readonly forms: readonly CheckedForm[];
  /** The entries of all, one behind the other, so that they are hashed at once, and room for a digest a node. */
  readonly bytes: Uint8Array;
  /** Where each entry starts, and behind them where the last one ends. */
  readonly starts: readonly number[];
  readonly digestsStart: number;
}

function checkForms(reveals: readonly Reveal[]): CheckedForms {
  let sizeBytes = 0;
  for (const reveal of reveals) {
    checkNumbers(reveal);
    checkIndices(reveal);
    for (const entry of reveal.entries) {
      if (entry.length > MAX_ENTRY_BYTES) throw refusal(`it has an entry of ${entry.length} bytes`, reveal);
      sizeBytes += entry.length;
    }
  }
  const bytes = new Uint8Array(sizeBytes + reveals.length * DIGEST_BYTES);
  const starts = [0];
  let end = 0;
  const forms = reveals.map((reveal) => {
    const first = starts.length - 1;
    for (const entry of reveal.entries) {
      bytes.set(entry, end);
      end += entry.length;
      starts.push(end);
    }
    const entries = readShown(reveal, { bytes, starts, first });
    checkTotal(reveal, entries);
    return { reveal, kind: reveal.kind as MapKind, indices: reveal.indices.slice(), entries };
  });
  return { forms, bytes, starts, digestsStart: sizeBytes };
}

function checkNumbers(reveal: Reveal): void {
  const { kind, level, count, total, siblings } = reveal;
  if (!isMapKind(kind)) throw refusal(`its kind is ${kind}`, reveal);
  if (!isUpTo(level, MAX_LEVEL)) throw refusal(`its level is ${level}`, reveal);
  if (!isUpTo(count, MAX_NODE_ENTRIES)) throw refusal(`it has ${count} entries`, reveal);
  if (!isUpTo(total, Number.MAX_SAFE_INTEGER)) throw refusal(`its total is ${total}`, reveal);
  if (count === 0 && level > 0) throw refusal(`it is empty at level ${level}`, reveal);
  if (count === 0 && siblings.length > 0) throw refusal("it is empty, yet has siblings", reveal);
}

function isUpTo(value: number, most: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= most;
}

/**
 * Indices decide where an entry is hashed, so one out of order would be hashed in one place and read as another: then
 * all hashes hold (test/core/map/refuse.test.ts, "mislabelled").
 */
function checkIndices(reveal: Reveal): void {
  const { count, indices, entries } = reveal;
  if (indices.length !== entries.length) {
    throw refusal(`it has ${indices.length} indices for ${entries.length} entries`, reveal);
  }
  let previous = -1;
  for (const index of indices) {
    if (!Number.isInteger(index) || index <= previous || index >= count) {
      throw refusal(`its indices do not ascend within ${count} entries`, reveal);
    }
    previous = index;
  }
}

function readShown(reveal: Reveal, shown: Pick<EntryTableInput, "bytes" | "starts" | "first">): EntryTable {
  const { bytes, starts, first } = shown;
  try {
    return new EntryTable({ level: reveal.level, bytes, starts, first, size: reveal.entries.length });
  } catch (cause) {
    if (cause instanceof Malformed) throw refusal(cause.message, reveal, cause);
    throw cause;
  }
}

function checkTotal(reveal: Reveal, entries: EntryTable): void {
  const { level, count, total } = reveal;
  const shown = entries.sumOfTotals();
  if (level === 0) {
    if (total !== count) throw refusal(`its total is ${total} with ${count} entries at level 0`, reveal);
  } else if (entries.size === count) {
    if (total !== shown) throw refusal(`its total is ${total}, but its entries add up to ${shown}`, reveal);
  } else if (total < shown + (count - entries.size)) {
    throw refusal(`its total is ${total}, less than what its entries must add up to`, reveal);
  }
}
