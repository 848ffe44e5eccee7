// Whom a client trusts, and how far it has seen the log.
export { sameTree } from "./frontier.js";
export { LogKey, type SignatureCheck, type SignatureCheckMaker } from "./log-key.js";
export { LogTrust, requireExtension, requireNotBehind, type ProvedCheckpoint } from "./log-trust.js";
export { openLeaf, openNewestLeaf, type OpenedLeaf } from "./newest-leaf.js";
