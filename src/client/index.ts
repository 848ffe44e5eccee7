// The client's public surface, without the embedded engine: that is client/embedded.
export type {
  Applied,
  ApplyOptions,
  BatchedBlob,
  BlobHandle,
  Capabilities,
  CommitRequest,
  Committed,
  Condition,
  ConditionOptions,
  Database,
  DiffOptions,
  Found,
  HeadState,
  KeyRange,
  LimitName,
  Operation,
  PutBlobOptions,
  RangeOptions,
  ScanRange,
  SeenLog,
  Snapshot,
  SnapshotOptions,
  StagedView,
  StateChange,
  StateEntry,
  StateValue,
  StateView,
  Trust,
  ValueOptions,
} from "./contract.js";
export { openOver } from "./database.js";
export { fileContent } from "./file-content.js";
export type { ConnectionOptions, DatabaseOptions, FirstUseNotice, TrustOptions, TrustState } from "./options.js";
export type {
  BlobReference,
  Chunk,
  Chunking,
  CommitRecord,
  ContentSource,
  DocumentRecord,
  HashArgument,
  HeadRecord,
  Key,
  ManifestRecord,
  Receipt,
  SignedCheckpoint,
  RepeatableContent,
  StoredBlob,
  StoredDocument,
} from "./records.js";
export { connect, type ConnectOptions } from "./remote.js";
export type { Commits, Documents, Heads, ProofPlace, Proofs, PutDocumentOptions } from "./sections.js";
export type { CallOptions, Transport } from "./transport.js";
export {
  parseProof,
  verifyProof,
  type Anchors,
  type ChunkClaim,
  type KeyClaim,
  type Proof,
  type ProofClaim,
  type ProofReport,
  type RangeClaim,
  type StateClaim,
} from "./verify/index.js";
