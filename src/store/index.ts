// The store's public surface.
export {
  ConditionFailed,
  MAX_ROW_KEY_BYTES,
  MAX_ROW_VALUE_BYTES,
  MAX_UPLOAD_METADATA_BYTES,
  SPACES,
} from "./contract.js";
export type {
  CleanUpResult,
  Condition,
  LargeBlob,
  LargeBlobs,
  LogRange,
  LogRow,
  Row,
  RowName,
  Space,
  StageOptions,
  StagedBlob,
  Store,
  StoreUsage,
  SyncReader,
  UploadState,
  WriteBatch,
} from "./contract.js";
export { DEFAULT_CONFIG, SCHEMA_VERSION } from "./directory/config.js";
export type { DatabaseConfig } from "./directory/config.js";
export { createDirectory, openDirectory, replaceConfig } from "./directory/directory.js";
export type { CreateOptions, DatabaseDirectory } from "./directory/directory.js";
export { MemoryStore } from "./memory/memory-store.js";
