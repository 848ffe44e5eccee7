// Blobs: their hash, the tree that authenticates any part of them, and slices of it (FORMATS §5).
export { BlobHasher, computeOutboard, hashBlob, type HashedBlob } from "./hasher.js";
export { hashBlobs } from "./hash-blobs.js";
export { groupCount, outboardBytes, PAIR_BYTES, checkedRanges, type ByteRange, type ByteRanges } from "./shape.js";
export { slicePlan, type SliceGroup, type SliceItem, type SliceParent } from "./slice-plan.js";
export { decodeSlice, encodeSlice, type EncodeSliceOptions } from "./slice.js";
export { SliceDecoder, type DecodeSliceOptions, type SliceEvidence, type SlicePart } from "./slice-decoder.js";
