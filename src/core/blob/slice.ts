// A whole slice in memory: made from a blob, or checked and turned back into its bytes (FORMATS §5).
import { concatBytes } from "../bytes.js";
import { computeOutboard } from "./hasher.js";
import { PAIR_BYTES, type ByteRange } from "./shape.js";
import { SliceDecoder, type DecodeSliceOptions, type SlicePart } from "./slice-decoder.js";
import { slicePlan } from "./slice-plan.js";

export interface EncodeSliceOptions {
  readonly range: ByteRange;
  /** The blob's outboard, where it is known; otherwise the whole blob is hashed once. */
  readonly outboard?: Uint8Array;
}

/**
 * The slice of a range of a blob in memory. `data` is a view of `bytes`.
 * @throws InvalidArgument - the range is not one of this blob
 */
export function encodeSlice(bytes: Uint8Array, options: EncodeSliceOptions): SlicePart {
  const plan = [...slicePlan(bytes.length, options.range)];
  const outboard = options.outboard ?? computeOutboard(bytes);
  const parents: Uint8Array[] = [];
  let start = bytes.length;
  let end = 0;
  for (const item of plan) {
    if (item.kind === "parent") {
      parents.push(outboard.subarray(item.pairIndex * PAIR_BYTES, (item.pairIndex + 1) * PAIR_BYTES));
    } else {
      start = Math.min(start, item.start);
      end = Math.max(end, item.end);
    }
  }
  return { parents: concatBytes(...parents), data: bytes.subarray(start, end) };
}

/**
 * The bytes of the range, or of several one behind another, checked against the hash. For slices that fit in memory; streams use `SliceDecoder`.
 * @throws InvalidArgument - the range is not one of a blob of that size
 * @throws VerificationFailed - bytes that do not belong to the blob, or surplus bytes
 * @throws IncompleteProof - the slice ends before the range does
 */
export function decodeSlice(slice: SlicePart, options: DecodeSliceOptions): Uint8Array {
  const decoder = new SliceDecoder(options);
  const pieces = decoder.push(slice);
  decoder.finish();
  return concatBytes(...pieces);
}
