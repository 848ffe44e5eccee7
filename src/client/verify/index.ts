// Checking proofs without a server: what `neleus verify` and others run on a file.
export { checkProof, parseProof, verifyProof, type Proof } from "./proof.js";
export type {
  Anchors,
  ChunkClaim,
  KeyClaim,
  ManifestClaim,
  ProofClaim,
  ProofReport,
  RangeClaim,
  RefClaim,
  StateClaim,
} from "./report.js";
