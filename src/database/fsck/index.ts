// Checking a database.
export { checkDirectory } from "./check-directory.js";
export { checkStore } from "./check-store.js";
export type { StoreToCheck } from "./check-store.js";
export type {
  Affected,
  CheckedCount,
  Finding,
  FindingKind,
  FindingPlace,
  FindingSubject,
  FsckEvent,
  FsckOptions,
  FsckPhase,
  FsckProgress,
  FsckSample,
  FsckSummary,
} from "./finding.js";
