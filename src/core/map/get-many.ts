// Several keys at once (FORMATS §4), strictly ascending: one walk, in which a node on the current path is read once.
import { compareBytes, toHex } from "../bytes.js";
import { Malformed } from "../errors.js";
import type { Digest } from "../hashes.js";
import { requireKey } from "./entry.js";
import { touchLast } from "./get.js";
import type { MapAt, NodeView, Reader, Want } from "./view.js";
import type { OpenNode } from "./want.js";
import { childWant, rootWant } from "./want.js";

/** What the map holds under one of the keys asked for. */
export interface KeyAnswer {
  /** Position of the key among those asked for. */
  readonly index: number;
  readonly key: Uint8Array;
  /** Undefined where the map does not hold the key. A view: copy it to keep it. */
  readonly cell: Uint8Array | undefined;
}

/** A node on the path, and which of its entries the current key leads to. */
interface Step extends OpenNode {
  index: number;
}

/**
 * Looks up every key, in order, and hands each answer to `onAnswer` as soon as it is certain.
 * @throws Malformed - keys not strictly ascending, or not of 1 … 1,024 bytes
 */
export function* getMany(map: MapAt, keys: readonly Uint8Array[], onAnswer: (answer: KeyAnswer) => void): Reader<void> {
  requireAscending(keys);
  const path: Step[] = [];
  for (const [position, key] of keys.entries()) {
    leaveNodesBelow(path, key);
    if (path.length === 0) {
      const want = rootWant(map);
      path.push({ node: yield want, want, index: 0 });
    }
    for (;;) {
      const step = path.at(-1);
      if (step === undefined) return;
      const { node } = step;
      step.index = node.seek(key);
      if (step.index === node.count) {
        touchLast(node);
        onAnswer({ index: position, key, cell: undefined });
        break;
      }
      if (node.level === 0) {
        const isPresent = compareBytes(node.key(step.index), key) === 0;
        if (!isPresent) touchLeft(path);
        onAnswer({ index: position, key, cell: isPresent ? node.cell(step.index) : undefined });
        break;
      }
      const want: Want = childWant(step, step.index, (limit) => childrenAhead(node, keys, { position, limit }));
      path.push({ node: yield want, want, index: 0 });
    }
  }
}

/** Drops the nodes whose last key is below this one; never the root. */
function leaveNodesBelow(path: Step[], key: Uint8Array): void {
  for (;;) {
    const last = path.at(-1)?.want.last;
    if (last === undefined || compareBytes(last, key) >= 0) return;
    path.pop();
  }
}

/** Touches the entry left of the path, at the deepest level that has one. */
function touchLeft(path: readonly Step[]): void {
  for (let depth = path.length - 1; depth >= 0; depth -= 1) {
    const step = path[depth];
    if (step === undefined || step.index === 0) continue;
    step.node.touch(step.index - 1, step.index);
    return;
  }
}

/** The children of this node that the keys after `position` lead to. */
function childrenAhead(
  node: NodeView,
  keys: readonly Uint8Array[],
  from: { readonly position: number; readonly limit: number },
): Digest[] {
  const digests: Digest[] = [];
  let previous = node.seek(keys[from.position] ?? new Uint8Array(0));
  for (let position = from.position + 1; position < keys.length && digests.length < from.limit; position += 1) {
    const key = keys[position];
    const index = key === undefined ? node.count : node.seek(key);
    if (index === node.count) break;
    if (index !== previous) digests.push(node.childDigest(index));
    previous = index;
  }
  return digests;
}

function requireAscending(keys: readonly Uint8Array[]): void {
  for (const [position, key] of keys.entries()) {
    requireKey(key);
    const previous = keys[position - 1];
    if (previous !== undefined && compareBytes(previous, key) >= 0) {
      throw new Malformed(`keys do not ascend strictly: ${toHex(key)} after ${toHex(previous)}`);
    }
  }
}
