// Drivers: they run an algorithm over a source of whole nodes, without waiting or with, and hold every node against what
// its parent says of it.
import { toHex } from "../bytes.js";
import { Corrupt, assert } from "../errors.js";
import type { Digest } from "../hashes.js";
import type { MapKind } from "./kind.js";
import type { MapNode } from "./node.js";
import { Recorder } from "./recorder.js";
import type { Reveal } from "./reveal.js";
import { scan } from "./scan.js";
import type { Entry, KeyRange, MapAt, NodeView, Reader, Want } from "./view.js";
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

/** A piece of a scan, with the part of the witness that makes it certain. */
export interface ScanPart {
  readonly entries: readonly Entry[];
  readonly reveals: readonly Reveal[];
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
  const steps = stepsSync(reader, source, recorder);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** The same over a source that takes waiting for. */
export async function readAsync<T>(reader: Reader<T>, source: AsyncNodeSource, recorder?: Recorder): Promise<T> {
  const steps = stepsAsync(reader, source, recorder);
  for (;;) {
    const step = await steps.next();
    if (step.done === true) return step.value;
  }
}

/** The entries of a range, a leaf at a time. */
export function* scanSync(source: NodeSource, map: MapAt, range: KeyRange): Generator<readonly Entry[], void> {
  const found: Entry[][] = [];
  const reader = scan(map, range, (entries) => found.push([...entries]));
  const steps = stepsSync(reader, source);
  while (steps.next().done !== true) yield* found.splice(0);
  yield* found.splice(0);
}

/** The same over a source that takes waiting for. */
export async function* scanAsync(
  source: AsyncNodeSource,
  map: MapAt,
  range: KeyRange,
): AsyncGenerator<readonly Entry[], void> {
  const found: Entry[][] = [];
  const reader = scan(map, range, (entries) => found.push([...entries]));
  const steps = stepsAsync(reader, source);
  while ((await steps.next()).done !== true) yield* found.splice(0);
  yield* found.splice(0);
}

/** A scan with its witness, in pieces as it goes, in memory bounded by the height. A verifier takes them in order. */
export function* proveScanSync(source: NodeSource, map: MapAt, range: KeyRange): Generator<ScanPart, void> {
  const progress = new ScanProgress(map, range);
  const steps = stepsSync(progress.reader, source, progress.recorder);
  while (steps.next().done !== true) yield* progress.take();
  yield* progress.take();
}

/** The same over a source that takes waiting for. */
export async function* proveScanAsync(
  source: AsyncNodeSource,
  map: MapAt,
  range: KeyRange,
): AsyncGenerator<ScanPart, void> {
  const progress = new ScanProgress(map, range);
  const steps = stepsAsync(progress.reader, source, progress.recorder);
  while ((await steps.next()).done !== true) yield* progress.take();
  yield* progress.take();
}

/** What a scan has found and touched since its last piece. */
class ScanProgress {
  readonly recorder = new Recorder();
  readonly reader: Reader<void>;
  #entries: Entry[] = [];
  /** Until the scan emits, nodes on its left edge may still be touched. */
  #isSettled = false;

  constructor(map: MapAt, range: KeyRange) {
    this.reader = scan(map, range, (entries) => {
      this.#isSettled = true;
      this.#entries.push(...entries);
    });
  }

  *take(): Generator<ScanPart, void> {
    if (!this.#isSettled) return;
    const entries = this.#entries;
    this.#entries = [];
    yield { entries, reveals: this.recorder.takeReveals() };
  }
}

/** Runs an algorithm node by node: yields after each. */
function* stepsSync<T>(reader: Reader<T>, source: NodeSource, recorder?: Recorder): Generator<void, T> {
  let step = reader.next();
  while (step.done !== true) {
    const want = step.value;
    step = reader.next(handOver(source.load(want.digest, want.kind), want, recorder));
    yield;
  }
  return step.value;
}

async function* stepsAsync<T>(
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
  const name = toHex(want.digest);
  const here = waiting.get(name);
  if (here !== undefined) {
    waiting.delete(name);
    return here;
  }
  const digests = [want.digest, ...(want.ahead?.(READ_AHEAD_NODES - 1) ?? [])];
  const [wanted, ...others] = await source.loadMany(digests, want.kind);
  assert(wanted !== undefined && others.length === digests.length - 1, "a source returns a node for each digest");
  if (waiting.size + others.length > MAX_WAITING_NODES) waiting.clear();
  for (const [index, node] of others.entries()) waiting.set(toHex(digests[index + 1] ?? want.digest), node);
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

/** Nodes in memory: what an edit created, or a map that never sees a disk. */
export class NodeTable implements NodeSource {
  readonly #nodes = new Map<string, MapNode>();

  /** Adds a node. To be passed to `buildMap` as it is. */
  readonly add = (node: MapNode): void => {
    this.#nodes.set(toHex(node.digest), node);
  };

  delete(digest: Digest): void {
    this.#nodes.delete(toHex(digest));
  }

  get size(): number {
    return this.#nodes.size;
  }

  /** Undefined where it is not here. */
  find(digest: Digest): MapNode | undefined {
    return this.#nodes.get(toHex(digest));
  }

  /** @throws Corrupt - no such node */
  load(digest: Digest): MapNode {
    const node = this.find(digest);
    if (node !== undefined) return node;
    const hash = toHex(digest);
    throw new Corrupt(`map node ${hash} is missing`, { facts: { hash } });
  }
}
