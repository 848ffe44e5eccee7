// What an algorithm asks for next, and the one place where a node is held against it (FORMATS §4). Both sources pass
// here: whole nodes of a store and partial ones of a witness.
import { compareBytes, toHex } from "../bytes.js";
import { Malformed } from "../errors.js";
import { MAX_KEY_BYTES } from "../limits.js";
import type { CheckableNode, KeyRange, MapAt, NodeView, Want } from "./view.js";

/** A node in the hands of an algorithm. */
export interface OpenNode {
  readonly node: NodeView;
  readonly want: Want;
}

/** The root of a map; `side` 1 for the second of two read side by side. */
export function rootWant(map: MapAt, side: 0 | 1 = 0): Want {
  const nothing = undefined;
  return { kind: map.kind, digest: map.root, level: nothing, total: nothing, above: nothing, last: nothing, side };
}

/** The child under entry `index`, which is touched. */
export function childWant(parent: OpenNode, index: number, ahead?: Want["ahead"]): Want {
  const { node, want } = parent;
  return {
    kind: want.kind,
    digest: node.childDigest(index),
    level: node.level - 1,
    total: node.childTotal(index),
    above: node.keyBelow(index) ?? want.above,
    last: node.key(index),
    side: want.side,
    ahead,
  };
}

/**
 * What is wrong with a node as the answer to a want, as one clause, or undefined. Each rule is shown by a test of its own
 * with a malformed root under which every hash holds (test/core/map/refuse.test.ts).
 */
export function faultAgainst(node: CheckableNode, want: Want): string | undefined {
  if (!node.hasDigest(want.digest)) {
    return `its digest is ${toHex(node.digest)}, not ${toHex(want.digest)} as asked for`;
  }
  if (node.kind !== want.kind) return `it is of kind ${node.kind}, not ${want.kind}`;
  return want.level === undefined ? faultOfRoot(node) : faultOfChild(node, want);
}

function faultOfRoot(node: CheckableNode): string | undefined {
  if (node.level > 0 && node.count < 2) return `it is a root of level ${node.level} with ${node.count} entries`;
  return undefined;
}

function faultOfChild(node: CheckableNode, want: Want): string | undefined {
  const { above, last } = want;
  if (node.level !== want.level) return `it is of level ${node.level}, not ${want.level}`;
  // A total is at least 1 in every entry, so an empty node is refused here as well.
  if (node.total !== want.total) return `its total is ${node.total}, not ${want.total} as its parent says`;
  if (above !== undefined && node.compareLowestKnown(above) <= 0) {
    return `its key ${shown(node.lowestKnownKey)} is not above ${toHex(above)}, which lies left of it`;
  }
  if (last === undefined) return undefined;
  const order = node.compareHighestKnown(last);
  if (node.knowsLastKey) {
    return order === 0
      ? undefined
      : `its last key is ${shown(node.highestKnownKey)}, not ${toHex(last)} as its parent says`;
  }
  return order >= 0 ? `its key ${shown(node.highestKnownKey)} is not below its last key ${toHex(last)}` : undefined;
}

function shown(key: Uint8Array | undefined): string {
  return key === undefined ? "" : toHex(key);
}

/** @throws Malformed - `from` over 1,024 bytes, `to` empty or over 1,024 bytes, or `from` not below `to` */
export function requireRange(range: KeyRange): void {
  const { from, to } = range;
  if (from.length > MAX_KEY_BYTES) throw new Malformed(`a range starts at a key of at most ${MAX_KEY_BYTES} bytes`);
  if (to === undefined) return;
  if (to.length > MAX_KEY_BYTES) throw new Malformed(`a range ends at a key of at most ${MAX_KEY_BYTES} bytes`);
  if (compareBytes(from, to) >= 0) throw new Malformed(`a range is from a lower to a higher key`);
}
