// One key (FORMATS §4): present, the path to it; absent, the path to its successor and the entry before.
import { compareBytes } from "../bytes.js";
import { requireKey } from "./entry.js";
import type { MapAt, NodeView, Reader } from "./view.js";
import { childWant, rootWant } from "./want.js";

/**
 * The cell of a key, or undefined where the map does not hold it. One node a level.
 * @throws Malformed - key not of 1 … 1,024 bytes
 */
export function* get(map: MapAt, key: Uint8Array): Reader<Uint8Array | undefined> {
  requireKey(key);
  let want = rootWant(map);
  let left: { readonly node: NodeView; readonly index: number } | undefined;
  for (;;) {
    const node = yield want;
    const index = node.seek(key);
    if (index === node.count) {
      touchLast(node);
      return undefined;
    }
    if (index > 0) left = { node, index: index - 1 };
    if (node.level > 0) {
      want = childWant({ node, want }, index);
      continue;
    }
    if (compareBytes(node.key(index), key) === 0) return node.cell(index);
    // Nothing lies between two neighbours; with no left one at any level, nothing lies before the first key.
    left?.node.touch(left.index, left.index + 1);
    return undefined;
  }
}

/**
 * Shows that every key of the map is below the one sought: the root's last entry alone. Below the root a whole node
 * never ends before the key that led to it, and a partial one that seems to does not show its last entry.
 */
export function touchLast(node: NodeView): void {
  if (node.count > 0) node.touch(node.count - 1, node.count);
}
