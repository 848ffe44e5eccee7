// Ed25519 signatures of objects (FORMATS §6).
export { isValidSignature, signatureFault, signerFromSeed } from "./ed25519.js";
export type { SignatureFault, SignedMessage, Signer } from "./ed25519.js";
export { signObject, signaturePayload, verifyObjectSignatures } from "./object-signature.js";
export type { SignableTag, SignatureVerdict } from "./object-signature.js";
