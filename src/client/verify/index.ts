// Checking proofs without a server: what `neleus verify`, web pages and others run on a file.
//
// Runs in any browser: nothing from Node, no protobuf runtime, no eval. tools/bundle-verifier.js makes one file of it.
export {
  Forked,
  IncompleteProof,
  InvalidArgument,
  NeleusError,
  NewEpoch,
  Unsupported,
  VerificationFailed,
} from "../../core/errors.js";
export { kernelName, loadKernel, type KernelName } from "../../core/hash/index.js";
export { isEvidence } from "./evidence-file.js";
export { verifyEvidence, type EvidenceReport } from "./evidence.js";
export { parseProof, type Proof } from "./proof-file.js";
export { checkProof, verifyProof, verifyProofFile } from "./proof.js";
export type { Witnessed, WitnessPolicy } from "../trust/index.js";
export type {
  Anchors,
  ChunkClaim,
  CommitClaim,
  KeyClaim,
  ManifestClaim,
  ProofClaim,
  ProofReport,
  RangeClaim,
  RefClaim,
  StateClaim,
} from "./report.js";
