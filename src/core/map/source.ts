// Drivers: they run an algorithm over a source of whole nodes, without waiting or with, and hold every node against what
// its parent says of it.
import { toHex } from "../bytes.js";
import { Corrupt, assert } from "../errors.js";
import type { Digest } from "../hashes.js";
import { digestName } from "./digest-name.js";
import type { MapKind } from "./kind.js";
import type { MapNode } from "./node.js";
import type { Recorder } from "./recorder.js";
import type { NodeView, Reader, Want } from "./view.js";
import { faultAgainst } from "./want.js";

/** Nodes that are at hand: memory, or a mapped file. */
export interface NodeSource {
  /** The node of this digest. MUST throw (`Corrupt`, or pruned) where there is none; the kind is for the message. */
  load(digest: Digest, kind: MapKind): MapNode;
}

/** Nodes that take waiting for. */
export interface AsyncNodeSource {
  /** The nodes of these digests, in their order. MUST reject where one is missing. */
  loadMany(digests: readonly Digest[], kind: MapKind): Promise<MapNode[]>;
}

/** Nodes that an asynchronous source is asked for at once, at most. */
const READ_AHEAD_NODES = 16;
/** Nodes that were read ahead and not yet wanted, at most: two levels' worth is usual. */
const MAX_WAITING_NODES = 256;

/**
 * Runs an algorithm to its end. A recorder, if given, notes what it touches.
 * @throws Corrupt - a node is not what its parent says; and what the source and the algorithm throw
 */
export function readSync<T>(reader: Reader<T>, source: NodeSource, recorder?: Recorder): T {
  let step = reader.next();
  while (step.done !== true) {
    const want = step.value;
    step = reader.next(handOver(source.load(want.digest, want.kind), want, recorder));
  }
  return step.value;
}

/** The same over a source that takes waiting for. */
export async function readAsync<T>(reader: Reader<T>, source: AsyncNodeSource, recorder?: Recorder): Promise<T> {
  const steps = stepsAsync(reader, source, recorder);
  for (;;) {
    const step = await steps.next();
    if (step.done === true) return step.value;
  }
}

/** Runs an algorithm node by node: yields after each, before the next is fetched. */
export function* stepsSync<T>(reader: Reader<T>, source: NodeSource, recorder?: Recorder): Generator<void, T> {
  let step = reader.next();
  while (step.done !== true) {
    const want = step.value;
    step = reader.next(handOver(source.load(want.digest, want.kind), want, recorder));
    yield;
  }
  return step.value;
}

export async function* stepsAsync<T>(
  reader: Reader<T>,
  source: AsyncNodeSource,
  recorder?: Recorder,
): AsyncGenerator<void, T> {
  const waiting = new Map<string, MapNode>();
  let step = reader.next();
  while (step.done !== true) {
    const want = step.value;
    step = reader.next(handOver(await loadAhead(want, source, waiting), want, recorder));
    yield;
  }
  return step.value;
}

/** The wanted node; nodes that will be wanted soon are fetched along with it and wait. */
async function loadAhead(want: Want, source: AsyncNodeSource, waiting: Map<string, MapNode>): Promise<MapNode> {
  const name = digestName(want.digest);
  const here = waiting.get(name);
  if (here !== undefined) {
    waiting.delete(name);
    return here;
  }
  const digests = [want.digest, ...(want.ahead?.(READ_AHEAD_NODES - 1) ?? [])];
  const [wanted, ...others] = await source.loadMany(digests, want.kind);
  assert(wanted !== undefined && others.length === digests.length - 1, "a source returns a node for each digest");
  if (waiting.size + others.length > MAX_WAITING_NODES) waiting.clear();
  for (const [index, node] of others.entries()) waiting.set(digestName(digests[index + 1] ?? want.digest), node);
  return wanted;
}

function handOver(node: MapNode, want: Want, recorder: Recorder | undefined): NodeView {
  const fault = faultAgainst(node, want);
  if (fault !== undefined) {
    const hash = toHex(want.digest);
    throw new Corrupt(`map node ${hash}: ${fault}`, { facts: { hash } });
  }
  return recorder === undefined ? node : recorder.record(node, want.side);
}
