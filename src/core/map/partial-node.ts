// The nodes of a witness, as a verifier sees them: read from reveals that may say anything (FORMATS §4).
//
// Of each reveal everything that needs no hash is checked first, so that a message full of rubbish costs a few bytes of
// looking at it. Then all are hashed in step, entries first, then the trees layer by layer, then the headers: a handful
// of kernel calls for a whole proof. The entries are copied into one small array a node: what a verifier hands out holds
// no message alive, and nobody can change it after it was checked.
import { IncompleteProof, Malformed, VerificationFailed } from "../errors.js";
import type { Digest } from "../hashes.js";
import { MAX_ENTRY_BYTES, MAX_LEVEL, MAX_NODE_ENTRIES } from "../limits.js";
import { EntryTable } from "./entry-table.js";
import type { MapKind } from "./kind.js";
import { isMapKind } from "./kind.js";
import { PartialRoots, emptyEntriesRoot, leafHashes } from "./merkle.js";
import { nodeDigests } from "./node.js";
import type { Reveal } from "./reveal.js";
import type { CheckableNode } from "./view.js";

/** A partly shown node whose digest was computed from what is shown. */
export class PartialNode implements CheckableNode {
  readonly kind: MapKind;
  readonly level: number;
  readonly count: number;
  readonly total: number;
  readonly digest: Digest;
  /** As it was received: evidence, where something is wrong. */
  readonly reveal: Reveal;
  readonly #indices: readonly number[];
  readonly #entries: EntryTable;

  constructor(form: CheckedForm, digest: Digest) {
    this.kind = form.kind;
    this.level = form.reveal.level;
    this.count = form.reveal.count;
    this.total = form.reveal.total;
    this.reveal = form.reveal;
    this.digest = digest;
    this.#indices = form.indices;
    this.#entries = form.entries;
  }

  get lowestKnownKey(): Uint8Array | undefined {
    return this.#indices.length > 0 ? this.#entries.key(0) : undefined;
  }

  get highestKnownKey(): Uint8Array | undefined {
    return this.#indices.length > 0 ? this.#entries.key(this.#indices.length - 1) : undefined;
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
  const forms = reveals.map(checkForm);
  const entries: Uint8Array[] = [];
  for (const form of forms) entries.push(...form.entries.allEntryBytes());
  const roots = new PartialRoots(entries.length);
  let firstEntrySlot = 0;
  for (const { reveal, indices } of forms) {
    // The one node without entries has a tree of its own: its root stands in as a sibling.
    const { count, siblings } = reveal.count > 0 ? reveal : { count: 1, siblings: emptyEntriesRoot() };
    if (!roots.plan({ count, indices, firstEntrySlot, siblings })) {
      throw refusal("its siblings are not as many as its indices imply", reveal);
    }
    firstEntrySlot += indices.length;
  }
  const digests = nodeDigests(reveals, roots.run(leafHashes(entries)));
  return forms.map((form, position) => new PartialNode(form, digests.subarray(position * 32, position * 32 + 32)));
}

/** The failure of a reveal, which it carries as evidence. */
export function refusal(why: string, reveal: Reveal, cause?: unknown): VerificationFailed {
  return new VerificationFailed(
    `a proof holds a node that cannot be: ${why}`,
    { evidence: reveal, facts: { level: String(reveal.level), reason: why } },
    { cause },
  );
}

function checkForm(reveal: Reveal): CheckedForm {
  const { kind, level, count, total } = reveal;
  if (!isMapKind(kind)) throw refusal(`its kind is ${kind}`, reveal);
  if (!isUpTo(level, MAX_LEVEL)) throw refusal(`its level is ${level}`, reveal);
  if (!isUpTo(count, MAX_NODE_ENTRIES)) throw refusal(`it has ${count} entries`, reveal);
  if (!isUpTo(total, Number.MAX_SAFE_INTEGER)) throw refusal(`its total is ${total}`, reveal);
  if (count === 0) requireEmpty(reveal);
  const indices = checkIndices(reveal);
  const entries = readShown(reveal);
  checkTotal(reveal, entries);
  return { reveal, kind, indices, entries };
}

function isUpTo(value: number, most: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= most;
}

function requireEmpty(reveal: Reveal): void {
  if (reveal.level > 0) throw refusal("it is empty above level 0", reveal);
  if (reveal.total > 0) throw refusal(`it is empty, yet its total is ${reveal.total}`, reveal);
  if (reveal.siblings.length > 0) throw refusal("it is empty, yet has siblings", reveal);
}

function checkIndices(reveal: Reveal): readonly number[] {
  const { count, indices, entries, siblings } = reveal;
  if (indices.length !== entries.length) {
    throw refusal(`it has ${indices.length} indices for ${entries.length} entries`, reveal);
  }
  if (indices.length > count) throw refusal(`it shows ${indices.length} of ${count} entries`, reveal);
  if (siblings.length > count * 32) throw refusal("its siblings are not as many as its indices imply", reveal);
  let previous = -1;
  for (const index of indices) {
    if (!Number.isInteger(index) || index <= previous || index >= count) {
      throw refusal(`its indices do not ascend within ${count} entries`, reveal);
    }
    previous = index;
  }
  return [...indices];
}

/** Copies the shown entries into one array and reads them. */
function readShown(reveal: Reveal): EntryTable {
  const { level, entries } = reveal;
  const starts = [0];
  let size = 0;
  for (const entry of entries) {
    if (entry.length > MAX_ENTRY_BYTES) throw refusal(`it has an entry of ${entry.length} bytes`, reveal);
    size += entry.length;
    starts.push(size);
  }
  const bytes = new Uint8Array(size);
  for (const [position, entry] of entries.entries()) bytes.set(entry, starts[position]);
  try {
    return new EntryTable({ level, bytes, starts });
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
