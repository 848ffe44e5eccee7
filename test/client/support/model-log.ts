// A log for tests of trust, without an engine: leaves in memory, proofs by plain recursion, and the habit, where a test
// wants it, of lying: any number of histories signed with one key.
import { create } from "@bufbuild/protobuf";
import type { DescMethodUnary, DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { LogProofSchema, ProofService, type LogProof } from "#gen/neleus/v1/proof_pb.js";
import type { Transport } from "#src/client/transport.js";
import { Unavailable } from "#src/core/errors.js";
import { mapRoot } from "#src/core/hashes.js";
import {
  EMPTY_LOG_ROOT,
  encodeLogLeaf,
  formatVerifierKey,
  logLeafHash,
  logNodeHash,
  proveConsistency,
  proveInclusion,
  signCheckpoint,
  verifierKey,
  type SubtreePosition,
} from "#src/core/log/index.js";
import { signerFromSeed } from "#src/core/signature/index.js";

export const ORIGIN = "neleus/00112233445566778899aabbccddeeff/1";

export class ModelLog {
  readonly origin: string;
  readonly verifierKey: string;
  readonly #signer;
  readonly leaves: Uint8Array[] = [];
  /** Leaves are only ever added, so the hash of a range stays what it is. */
  readonly #ranges = new Map<string, Uint8Array>();
  readonly #notes = new Map<number, string>();

  constructor(options: { readonly origin?: string; readonly seed?: number } = {}) {
    this.origin = options.origin ?? ORIGIN;
    this.#signer = signerFromSeed(new Uint8Array(32).fill(options.seed ?? 1));
    this.verifierKey = formatVerifierKey(verifierKey(this.origin, this.#signer.publicKey));
  }

  /** Another history that begins like this one. */
  fork(size: number): ModelLog {
    const other = new ModelLog({ origin: this.origin });
    other.leaves.push(...this.leaves.slice(0, size));
    return other;
  }

  /** Adds leaves whose refs roots are filled with `fill`. */
  append(count: number, fill = 7, time = 1_000 + this.leaves.length): this {
    for (let added = 0; added < count; added += 1) {
      const index = this.leaves.length;
      const leaf = { version: 1 as const, time: time + added, refsRoot: mapRoot(new Uint8Array(32).fill(fill)) };
      this.leaves.push(encodeLogLeaf(index === 0 ? { ...leaf, first: { reason: "created" as const } } : leaf, index));
    }
    return this;
  }

  note(size = this.leaves.length): string {
    const there = this.#notes.get(size);
    if (there !== undefined) return there;
    const note = signCheckpoint({ origin: this.origin, size, root: this.#range(0, size) }, this.#signer);
    this.#notes.set(size, note);
    return note;
  }

  proof(options: { readonly size?: number; readonly knownSize?: number } = {}): LogProof {
    const { size = this.leaves.length, knownSize = 0 } = options;
    const read = (position: SubtreePosition): Uint8Array => this.#subtree(position);
    const isExtension = knownSize > 0 && knownSize < size;
    return create(LogProofSchema, {
      checkpoint: this.note(size),
      consistency: isExtension ? proveConsistency({ from: knownSize, to: size }, read) : [],
      leaf: this.leaves[size - 1] ?? new Uint8Array(0),
      inclusion: proveInclusion({ index: size - 1, size }, read),
    });
  }

  #subtree({ level, index }: SubtreePosition): Uint8Array {
    return this.#range(index * 2 ** level, (index + 1) * 2 ** level);
  }

  #range(start: number, end: number): Uint8Array {
    if (end === start) return EMPTY_LOG_ROOT;
    if (end - start === 1) return logLeafHash(this.leaves[start]!);
    const name = `${start}:${end}`;
    const there = this.#ranges.get(name);
    if (there !== undefined) return there;
    let half = 1;
    while (half * 2 < end - start) half *= 2;
    const hash = logNodeHash(this.#range(start, start + half), this.#range(start + half, end));
    this.#ranges.set(name, hash);
    return hash;
  }
}

/** Size that a checkpoint's text states; 0 for none. */
export function statedSize(note: string): number {
  return note === "" ? 0 : Number(note.split("\n")[1]);
}

/** A transport that answers GetCheckpoint alone, as `answer` says. */
export function checkpointTransport(
  answer: (knownCheckpoint: string) => LogProof | Promise<LogProof>,
): Transport & { readonly asked: string[] } {
  const asked: string[] = [];
  const refuse = (): never => {
    throw new Unavailable("the model answers nothing but GetCheckpoint");
  };
  return {
    address: "model",
    asked,
    async unary<I extends DescMessage, O extends DescMessage>(
      method: DescMethodUnary<I, O>,
      request: MessageInitShape<I>,
    ): Promise<MessageShape<O>> {
      if ((method as unknown) !== ProofService.method.getCheckpoint) return refuse();
      const { knownCheckpoint } = request as { knownCheckpoint: string };
      asked.push(knownCheckpoint);
      return create(method.output, { log: await answer(knownCheckpoint) } as unknown as MessageInitShape<O>);
    },
    serverStream: refuse,
    clientStream: refuse,
    close: async () => undefined,
  };
}
