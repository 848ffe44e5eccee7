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
  IterateOptions,
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
export { DEFAULT_CONFIG, SCHEMA_VERSION, encryptedConfig } from "./directory/config.js";
export type { DatabaseConfig, EncryptionConfig } from "./directory/config.js";
export { changeConfig, createDirectory, openDirectory, rotateEncryptionKey } from "./directory/directory.js";
export type { CreateOptions, DatabaseDirectory, OpenOptions } from "./directory/directory.js";
export { examineFiles, examineRowsFile } from "./directory/examination.js";
export type { FileFault } from "./directory/examination.js";
export type { PasswordSource } from "./directory/password.js";
export { ALGORITHMS } from "./sealing/aead.js";
export type { Algorithm } from "./sealing/aead.js";
export { DEFAULT_KDF_ITERATIONS } from "./sealing/key-ring.js";
export type { Recovery } from "./directory/recovery.js";
export { MemoryStore } from "./memory/memory-store.js";
