// The package's core entry: pure functions on bytes, for verifiers and for other clients. No I/O, runs in a browser.
export { compareBytes, concatBytes, equalBytes, fromHex, toHex, utf8 } from "./bytes.js";
export { BlobHasher, decodeSlice, encodeSlice, hashBlob, SliceDecoder, slicePlan } from "./blob/index.js";
export { decode, encode, type Value } from "./codec/index.js";
export * from "./errors.js";
export { hashBatch, hashTagged, kernelName, loadKernel, type KernelName, type Tag } from "./hash/index.js";
export { blobHash, commitHash, manifestHash, mapRoot } from "./hashes.js";
export type { BlobHash, CommitHash, Digest, ManifestHash, MapRoot } from "./hashes.js";
export * from "./limits.js";
export * from "./log/index.js";
export * from "./map/index.js";
export * from "./object/index.js";
export * from "./signature/index.js";
export { PROGRAM_VERSION } from "./version.js";
