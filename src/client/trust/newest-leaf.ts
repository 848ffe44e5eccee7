// From a checkpoint to the refs root of a leaf, mostly its newest, index size − 1 (FORMATS §7).
import { VerificationFailed } from "../../core/errors.js";
import type { MapRoot } from "../../core/hashes.js";
import { MAX_LOG_LEAF_BYTES } from "../../core/limits.js";
import { decodeLogLeaf, logLeafHash, verifyInclusion, type Checkpoint } from "../../core/log/index.js";
import { verifying } from "../received.js";

/** What a leaf says. */
export interface OpenedLeaf {
  /** Milliseconds since 1970, by the server's clock. */
  readonly timeMs: number;
  readonly refsRoot: MapRoot;
}

/**
 * The newest leaf of a log whose root is trusted.
 * @throws VerificationFailed - the log has no leaf, this is not its newest, or it is no leaf
 * @throws Unsupported - a leaf of a version that this program does not know
 */
export function openNewestLeaf(
  checkpoint: Pick<Checkpoint, "size" | "root">,
  proof: { readonly leaf: Uint8Array; readonly inclusion: readonly Uint8Array[] },
): OpenedLeaf {
  const { size } = checkpoint;
  if (size === 0) throw new VerificationFailed("the log has no leaves, so it proves nothing");
  return openLeaf(checkpoint, { ...proof, index: size - 1 });
}

/**
 * The leaf of an index below the size of a log whose root is trusted.
 * @throws VerificationFailed, Unsupported - as `openNewestLeaf`
 */
export function openLeaf(
  checkpoint: Pick<Checkpoint, "size" | "root">,
  proof: { readonly index: number; readonly leaf: Uint8Array; readonly inclusion: readonly Uint8Array[] },
): OpenedLeaf {
  const { size, root } = checkpoint;
  const { index } = proof;
  // SHA-256 of a megabyte takes a tenth of a second, so the length is looked at first.
  if (proof.leaf.length > MAX_LOG_LEAF_BYTES) {
    throw new VerificationFailed(`a leaf of the log has at most ${MAX_LOG_LEAF_BYTES} bytes, not ${proof.leaf.length}`);
  }
  verifyInclusion({ index, size, root, leafHash: logLeafHash(proof.leaf), proof: proof.inclusion });
  const { time, refsRoot } = verifying("a leaf of the log", () => decodeLogLeaf(proof.leaf, index));
  return { timeMs: time, refsRoot };
}
