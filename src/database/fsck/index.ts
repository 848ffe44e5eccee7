// Checking a database.
export { checkDirectory, repairDirectory } from "./check-directory.js";
export { checkStore } from "./check-store.js";
export type { StoreToCheck } from "./check-store.js";
export type { RepairEvent } from "./repair.js";
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
