// The transparency log (FORMATS §7): tree, proofs, leaves, checkpoints.
export { parseCheckpointUnverified, signCheckpoint, verifyCheckpoint } from "./checkpoint.js";
export type { Checkpoint } from "./checkpoint.js";
export { cosign, findCosignature, formatWitnessKey, parseWitnessKey, witnessKey } from "./cosignature.js";
export type { Cosignature, WitnessKey, WitnessVerdict } from "./cosignature.js";
export { decodeLogLeaf, encodeLogLeaf } from "./leaf.js";
export type { LogBeginning, LogLeaf } from "./leaf.js";
export { formatNote, parseNote, signNote, verifyNote } from "./note.js";
export type { Note, NoteSignature, NoteSigner, VerifiedNote } from "./note.js";
export { DEFAULT_ORIGIN_HOST, formatOrigin, originHostProblem, parseOrigin } from "./origin.js";
export type { Origin } from "./origin.js";
export { proveConsistency, proveInclusion, showsOtherBeginning, verifyConsistency, verifyInclusion } from "./proof.js";
export type { ConsistencyClaim, InclusionClaim, LeafPosition, SizePair } from "./proof.js";
export {
  encodeEntryBundle,
  MAX_TILE_LEVEL,
  requireTile,
  TILE_HEIGHT,
  TILE_WIDTH,
  TileBuilder,
  tilePath,
  tileRoot,
  tileWidth,
} from "./tile.js";
export type { BuiltTile, TilePosition } from "./tile.js";
export {
  EMPTY_LOG_ROOT,
  Frontier,
  logLeafHash,
  logNodeHash,
  logRoot,
  rangeHash,
  storedHashIndex,
  subtreesOf,
} from "./tree.js";
export type { LeafRange, ReadSubtree, SubtreeHash, SubtreePosition } from "./tree.js";
export { formatVerifierKey, parseVerifierKey, verifierKey } from "./verifier-key.js";
export type { VerifierKey } from "./verifier-key.js";
