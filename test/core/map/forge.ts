// Maps that nobody could have built honestly: nodes of any content, whose hashes all hold.
//
// An independent, recursive model of FORMATS §3 and §4 hashes them; it checks nothing. A builder who signs a malformed
// root can show such nodes, so each rule of a verifier is tested against one.
import * as dagCbor from "@ipld/dag-cbor";
import { concatBytes, utf8 } from "#src/core/bytes.js";
import { hashTagged } from "#src/core/hash/index.js";
import type { Digest } from "#src/core/hashes.js";
import type { Reveal } from "#src/core/map/index.js";

/** What a node claims, and what of it is shown. Everything has an honest default. */
export interface Forged {
  readonly kind?: number;
  readonly level?: number;
  readonly count?: number;
  readonly total?: number;
  /** All entries of the node, as bytes. */
  readonly entries: readonly Uint8Array[];
  /** Positions that the reveal shows; all by default. */
  readonly shows?: readonly number[];
}

export interface ForgedNode {
  readonly digest: Digest;
  readonly reveal: Reveal;
  readonly total: number;
}

export function forge(node: Forged): ForgedNode {
  const { kind = 1, level = 0, entries } = node;
  const { count = entries.length, total = entries.length, shows = entries.map((_, index) => index) } = node;
  const leaves = entries.map((entry) => hashTagged("state_leaf:", entry));
  const header = dagCbor.encode([1, kind, level, count, total, rootOf(leaves)]);
  const siblings = siblingsOf(leaves, new Set(shows), 0);
  const reveal = {
    kind,
    level,
    count,
    total,
    indices: [...shows],
    entries: shows.map((index) => entries[index] ?? new Uint8Array(0)),
    siblings: concatBytes(...siblings),
  };
  return { digest: hashTagged("state_node:", header), reveal, total };
}

/** An honest entry of level 0. */
export function leaf(key: string, cell: unknown = [1]): Uint8Array {
  return dagCbor.encode([utf8(key), cell]);
}

/** An entry above level 0, honest where `total` is left to the child. */
export function branch(lastKey: string, child: ForgedNode, total = child.total): Uint8Array {
  return dagCbor.encode([utf8(lastKey), child.digest, total]);
}

/** RFC 6962, §2.1, by its definition. */
function rootOf(leaves: readonly Digest[]): Digest {
  if (leaves.length === 0) return hashTagged("merkle_node:", new Uint8Array(0));
  const [only] = leaves;
  if (leaves.length === 1 && only !== undefined) return only;
  const split = splitOf(leaves.length);
  return hashTagged("merkle_node:", concatBytes(rootOf(leaves.slice(0, split)), rootOf(leaves.slice(split))));
}

function siblingsOf(leaves: readonly Digest[], shown: ReadonlySet<number>, offset: number): Digest[] {
  if (leaves.length === 0) return [];
  if (!leaves.some((_, index) => shown.has(offset + index))) return [rootOf(leaves)];
  if (leaves.length === 1) return [];
  const split = splitOf(leaves.length);
  return [
    ...siblingsOf(leaves.slice(0, split), shown, offset),
    ...siblingsOf(leaves.slice(split), shown, offset + split),
  ];
}

function splitOf(count: number): number {
  let split = 1;
  while (split * 2 < count) split *= 2;
  return split;
}
