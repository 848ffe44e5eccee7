// Witnesses on their way out: reveals as messages, and streams of them cut by bytes.
//
// The recorder of core/map makes the reveals; nothing here decides what is shown.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { NodeRevealSchema } from "../../gen/neleus/v1/proof_pb.js";
import type { InlineValueSchema } from "../../gen/neleus/v1/state_pb.js";
import { readSync, Recorder, type NodeSource, type Reader, type Reveal } from "../core/map/index.js";
import type { StreamMemory } from "../database/index.js";
import { messageBytes } from "./message-size.js";

export type NodeRevealInit = MessageInitShape<typeof NodeRevealSchema>;
export type InlineValueInit = MessageInitShape<typeof InlineValueSchema>;

/** A reveal as a message. A class for the reason that core/map/recorder gives: a stream makes very many. */
class RevealFields {
  readonly kind: number;
  readonly level: number;
  readonly count: number;
  readonly total: bigint;
  readonly indices: readonly number[];
  readonly entries: readonly Uint8Array[];
  readonly siblings: Uint8Array;

  constructor(reveal: Reveal) {
    this.kind = reveal.kind;
    this.level = reveal.level;
    this.count = reveal.count;
    this.total = BigInt(reveal.total);
    this.indices = reveal.indices;
    this.entries = reveal.entries;
    this.siblings = reveal.siblings;
  }
}

/** A reveal as a message. Shares the lists and bytes of the reveal: to be encoded, or read, and no more. */
export function nodeReveal(reveal: Reveal): NodeRevealInit {
  return new RevealFields(reveal) as NodeRevealInit;
}

/**
 * Runs a read that is small enough to do at once, over the nodes of a database, a view or a point in it, and returns its
 * answer with the witness for it.
 */
export function readWithWitness<T>(
  source: { readonly nodes: NodeSource },
  reader: Reader<T>,
): { answer: T; nodes: NodeRevealInit[] } {
  const recorder = new Recorder();
  const answer = readSync(reader, source.nodes, recorder);
  return { answer, nodes: Array.from(recorder.reveals(), nodeReveal) };
}

/** What is counted for a reveal beside its entries and siblings, and for an entry beside its bytes. */
const REVEAL_OVERHEAD_BYTES = 32;
const ITEM_OVERHEAD_BYTES = 4;

/** The next message of a stream: reveals, of one map or two, and perhaps values of entries that they show. */
export class RevealMessage {
  readonly #memory: StreamMemory | undefined;
  #nodes: NodeRevealInit[] = [];
  #nodesOfSecond: NodeRevealInit[] = [];
  #values: InlineValueInit[] = [];
  #sizeBytes = 0;

  constructor(memory: StreamMemory | undefined) {
    this.#memory = memory;
  }

  get isEmpty(): boolean {
    return this.#nodes.length + this.#nodesOfSecond.length + this.#values.length === 0;
  }

  /** True when the message is large enough to be sent. */
  get isFull(): boolean {
    return this.#sizeBytes >= this.#fullBytes;
  }

  /** `side` 1: of the second of two maps. */
  addReveal(reveal: Reveal, side: 0 | 1 = 0): void {
    (side === 0 ? this.#nodes : this.#nodesOfSecond).push(nodeReveal(reveal));
    this.#sizeBytes += REVEAL_OVERHEAD_BYTES + reveal.siblings.length;
    for (const entry of reveal.entries) this.#sizeBytes += ITEM_OVERHEAD_BYTES + entry.length;
  }

  /** True where a value of this size makes the message larger than it should be. It may stand alone. */
  isTooFullFor(valueBytes: number): boolean {
    return !this.isEmpty && this.#sizeBytes + valueBytes + ITEM_OVERHEAD_BYTES > this.#fullBytes;
  }

  get #fullBytes(): number {
    return messageBytes(this.#memory);
  }

  /** `entry`: ordinal among the present entries of the answer. */
  addValue(entry: number, data: Uint8Array): void {
    this.#values.push({ entry: BigInt(entry), data });
    this.#sizeBytes += ITEM_OVERHEAD_BYTES + data.length;
  }

  /** What has been gathered; the next message begins empty. */
  take(): { nodes: NodeRevealInit[]; nodesOfSecond: NodeRevealInit[]; values: InlineValueInit[] } {
    const message = { nodes: this.#nodes, nodesOfSecond: this.#nodesOfSecond, values: this.#values };
    this.#nodes = [];
    this.#nodesOfSecond = [];
    this.#values = [];
    this.#sizeBytes = 0;
    return message;
  }
}
