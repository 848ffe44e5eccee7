// Whom a client trusts, and how far it has seen the log.
export { sameTree } from "./frontier.js";
export { presentedKey, type OpenedEpoch } from "./epoch-step.js";
export { LogKey, type SignatureCheck, type SignatureCheckMaker } from "./log-key.js";
export { LogTrust, requireExtension, requireNotBehind, type ProvedCheckpoint } from "./log-trust.js";
export { RememberedTrust } from "./remembered-trust.js";
export type { TrustPlace, TrustRecord, TrustStore } from "./trust-store.js";
export { openLeaf, openNewestLeaf, type OpenedLeaf } from "./newest-leaf.js";
export { openCosigned, Witnesses } from "./witnesses.js";
export type { CosignedClaim, Witnessed, WitnessPolicy } from "./witnesses.js";
