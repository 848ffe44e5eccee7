// Ed25519 signatures of objects (FORMATS §6).
export { isValidSignature, publicKeyFault, signatureFault, signerFromSeed } from "./ed25519.js";
export type { SignatureFault, SignedMessage, Signer } from "./ed25519.js";
export { attachSignature, signObject, signaturePayload, verifyObjectSignatures } from "./object-signature.js";
export type { MadeSignature, SignableTag, SignatureVerdict } from "./object-signature.js";
