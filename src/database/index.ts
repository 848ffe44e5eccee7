// The engine: one directory, or any Store, one database.
export type {
  BlobReader,
  BlobRef,
  Blobs,
  FinishOptions,
  FoundBlob,
  Incoming,
  StreamMemory,
  Upload,
  UploadFinish,
  Uploads,
} from "./blob-contract.js";
export type {
  CommitOptions,
  Commits,
  Committed,
  CreateHeadOptions,
  DeleteHeadOptions,
  DeleteTagOptions,
  ExpectedCommit,
  Heads,
  PreparedCommit,
  ResetHeadOptions,
  SetHeadKeysOptions,
  SubmitCommitOptions,
  Tags,
} from "./commit-contract.js";
export type {
  Applied,
  ApplyOptions,
  Chunking,
  CreateDatabaseOptions,
  DatabaseOptions,
  DocumentOptions,
  Documents,
  KeyCondition,
  Load,
  LoadEntries,
  LoadOptions,
  Loaded,
  Location,
  Manifests,
  OpenDocument,
  PutResult,
  PutSignedOptions,
  StateChange,
  StateOperation,
  States,
  ViewRequest,
} from "./contract.js";
export type { BeginEpochOptions, BegunEpoch, EpochReason, EpochStep, Epochs, TransparencyLog } from "./log-contract.js";
export type {
  CosignedCheckpoint,
  Head,
  IdempotencyKey,
  Lease,
  LogEntries,
  LogProof,
  LoggedLeaf,
  ReadPoint,
  ReadSelector,
  Receipt,
  Stored,
  StoredCommit,
  StoredManifest,
  Tag,
  View,
  WriteOptions,
} from "./view-contract.js";
export { Database } from "./database.js";
export type { Recovery } from "../store/index.js";
export type { FreeingLimits } from "./followed-nodes.js";
export type { LostLeaves } from "./rollback-alarm.js";
export { checkDirectory, repairDirectory } from "./fsck/index.js";
export type {
  Affected,
  CheckedCount,
  Finding,
  FindingPlace,
  FsckEvent,
  FsckOptions,
  FsckProgress,
  FsckSample,
  FsckSummary,
  RepairEvent,
} from "./fsck/index.js";
export type { CollectEvent, CollectOptions, CollectSummary, CollectedCount } from "./gc/collector.js";
