// Commits, manifests, and the keys and cells of the maps that hold them (FORMATS §6, §7).
export { chunkCell, commitCell, ledgerCell, logKeysCell, permissionsCell, stagedCell, stateCell } from "./cell.js";
export type {
  CellCodec,
  ChunkCell,
  CommitCell,
  LedgerCell,
  StagedCell,
  StateCell,
  StateCellExtension,
} from "./cell.js";
export { commitHashOf, decodeCommit, encodeCommit } from "./commit.js";
export type { Commit } from "./commit.js";
export { countedBytes } from "./counted.js";
export type { BlobRef, Meta, Signature, Signed } from "./common.js";
export type {
  AttestationDraft,
  AttestationManifest,
  ChunkingDescription,
  DocumentManifest,
  EmbeddingManifest,
  ErasureManifest,
} from "./document.js";
export { addSignature, splitSignatures } from "./envelope.js";
export type { SplitObject } from "./envelope.js";
export { MOVE_PERMISSION, headKeysIn, headKeysRange } from "./head-keys.js";
export {
  LOG_KEYS_KEY,
  chunkKey,
  headKey,
  headPermissionKey,
  ledgerKey,
  ledgerKeysOf,
  ledgerRange,
  parseChunkKey,
  parseLedgerKey,
  parseRefKey,
  runByAgentKey,
  stagedKey,
  tagKey,
  tagRange,
} from "./key.js";
export type { BoundedRange, LedgerPlace, LedgerSelection, ParsedLedgerKey, RefKey } from "./key.js";
export {
  MANIFEST_KINDS,
  decodeManifest,
  decodeManifestOf,
  encodeManifest,
  encodeManifestDraft,
  isManifestKind,
  manifestHashOf,
} from "./manifest.js";
export type { Manifest, ManifestByKind, ManifestDraft, ManifestKind } from "./manifest.js";
export { namePrefixProblem, nameProblem, requireName } from "./name.js";
export type { Received } from "./received.js";
export type { Evidence, IntentManifest, ProvenanceManifest, Retrieval, RunManifest, RunPart, ToolCall } from "./run.js";
export type { Extensible } from "../codec/schema.js";
