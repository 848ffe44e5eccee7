// The package's main entry: clients. The engine is loaded only when a directory is opened, so that a program that only
// connects to a server loads neither LMDB nor the server.
import type { Database } from "./client/contract.js";
import type { AcceptEpochOptions } from "./client/accept-epoch.js";
import type { CreateOptions, EmbeddedOptions } from "./client/embedded/index.js";
import type { AcceptedEpoch } from "./client/records.js";

export { evidenceOf, type Evidence, type EvidenceContext, type Exhibit } from "./client/evidence.js";
export { RecentAnswers, type RecentAnswer } from "./client/recent-answers.js";
export { fileContent } from "./client/file-content.js";
export { defaultTrustFile, fileTrustStore } from "./client/file-trust-store.js";
export { createSigningKey, fileSigner } from "./client/file-signer.js";
export { headKeys, keyring, type CommitSigner, type CommitToVerify, type CommitVerifier } from "./client/signing.js";
export type { AcceptEpochOptions } from "./client/accept-epoch.js";
export { acceptEpoch, connect, type ConnectOptions } from "./client/remote.js";
export type { CreateOptions, EmbeddedOptions } from "./client/embedded/index.js";
export type { CallOptions } from "./client/transport.js";
export type * from "./client/contract.js";
export type * from "./client/options.js";
export type * from "./client/records.js";
export type * from "./client/sections.js";
export type { TrustPlace, TrustRecord, TrustStore, Witnessed, WitnessPolicy } from "./client/trust/index.js";
export {
  AlreadyExists,
  Conflict,
  Corrupt,
  Forked,
  IncompleteProof,
  InvalidArgument,
  LimitExceeded,
  Malformed,
  NeleusError,
  NewEpoch,
  NotAnchored,
  NotFound,
  PermissionDenied,
  Pruned,
  RolledBack,
  Unavailable,
  Unsupported,
  VerificationFailed,
  type ErrorCode,
  type ErrorDetails,
} from "./core/errors.js";
export { PROGRAM_VERSION } from "./core/version.js";

/**
 * A client of the database in a directory, in this process: the same interface as over a network, verified alike.
 * @throws NotFound - there is no database there: `create` makes one
 * @throws Corrupt - its files are damaged
 */
export async function open(directory: string, options: EmbeddedOptions = {}): Promise<Database> {
  return (await import("./client/embedded/index.js")).open(directory, options);
}

/**
 * Makes a database with an empty head `main`, and gives a client of it.
 * @throws AlreadyExists - there is one
 * @throws InvalidArgument - the directory holds other things
 */
export async function create(directory: string, options: CreateOptions = {}): Promise<Database> {
  return (await import("./client/embedded/index.js")).create(directory, options);
}

/**
 * The same as `acceptEpoch`, of the database in a directory. Errors as of `acceptEpoch` and `open`.
 */
export async function acceptEpochIn(directory: string, options: AcceptEpochOptions): Promise<AcceptedEpoch> {
  return (await import("./client/embedded/index.js")).acceptEpoch(directory, options);
}
