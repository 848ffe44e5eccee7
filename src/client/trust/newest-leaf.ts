// From a checkpoint to the refs root of its newest leaf, index size − 1 (FORMATS §7).
import { VerificationFailed } from "../../core/errors.js";
import type { MapRoot } from "../../core/hashes.js";
import { MAX_LOG_LEAF_BYTES } from "../../core/limits.js";
import { decodeLogLeaf, logLeafHash, verifyInclusion, type Checkpoint } from "../../core/log/index.js";
import { verifying } from "../received.js";

/** What the newest leaf says. */
export interface NewestLeaf {
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
): NewestLeaf {
  const { size, root } = checkpoint;
  if (size === 0) throw new VerificationFailed("the log has no leaves, so it proves nothing");
  // SHA-256 of a megabyte takes a tenth of a second, so the length is looked at first.
  if (proof.leaf.length > MAX_LOG_LEAF_BYTES) {
    throw new VerificationFailed(`a leaf of the log has at most ${MAX_LOG_LEAF_BYTES} bytes, not ${proof.leaf.length}`);
  }
  const index = size - 1;
  verifyInclusion({ index, size, root, leafHash: logLeafHash(proof.leaf), proof: proof.inclusion });
  const { time, refsRoot } = verifying("the newest leaf", () => decodeLogLeaf(proof.leaf, index));
  return { timeMs: time, refsRoot };
}
