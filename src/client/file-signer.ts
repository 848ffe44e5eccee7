// Signing keys in files of this machine: an unencrypted PKCS #8 PEM (RFC 8410), as `openssl genpkey -algorithm ed25519`
// writes and `openssl pkey` reads. The file is the secret: it is made with mode 0600, and refused where others may read it.
//
// The key stays inside node:crypto, which signs; no error and no log holds any of its bytes.
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, type KeyObject } from "node:crypto";
import { open, rm } from "node:fs/promises";
import { AlreadyExists, InvalidArgument, NotFound, PermissionDenied, Unavailable } from "../core/errors.js";
import type { CommitSigner } from "./signing.js";

/** A key file is some 120 bytes; what others write around it stays below this. */
const MAX_FILE_BYTES = 16_384;
const OTHERS = 0o077;

/**
 * A signer with the key in a file. The file is read now, once.
 * @throws NotFound - no such file @throws PermissionDenied - others may read it
 * @throws InvalidArgument - it holds no unencrypted Ed25519 key in PEM @throws Unavailable - it cannot be read
 */
export async function fileSigner(path: string): Promise<CommitSigner> {
  const key = privateKey(await readSecret(path), path);
  const publicKey = publicKeyOf(key);
  return { publicKey, sign: (message) => new Uint8Array(sign(null, message, key)) };
}

/**
 * Makes a key in a new file, and returns its public half, 32 bytes.
 * @throws AlreadyExists - there is a file: no key is ever overwritten @throws Unavailable - it cannot be written
 */
export async function createSigningKey(path: string): Promise<Uint8Array> {
  const { privateKey: key } = generateKeyPairSync("ed25519");
  const text = key.export({ format: "pem", type: "pkcs8" });
  try {
    await writeNew(path, text);
  } catch (error) {
    if (codeOf(error) === "EEXIST") {
      throw new AlreadyExists(`${path} exists already`, {
        field: "file",
        hint: "a key is never overwritten: name another file",
      });
    }
    throw unusable(path, error, "written");
  }
  return publicKeyOf(key);
}

/** The file is there whole, or not at all. */
async function writeNew(path: string, text: string | Buffer): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

async function readSecret(path: string): Promise<string> {
  try {
    const file = await open(path, "r");
    try {
      const { mode, size } = await file.stat();
      requirePrivate(path, mode);
      if (size > MAX_FILE_BYTES) throw noKey(path);
      return await file.readFile("utf8");
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof InvalidArgument || error instanceof PermissionDenied) throw error;
    if (codeOf(error) === "ENOENT") {
      throw new NotFound(`there is no key file ${path}`, {
        field: "file",
        hint: `make one: neleus key new ${path}`,
        facts: { kind: "file" },
      });
    }
    throw unusable(path, error, "read");
  }
}

/** Windows has no such modes, and says that everybody may read. */
function requirePrivate(path: string, mode: number): void {
  if (process.platform === "win32" || (mode & OTHERS) === 0) return;
  throw new PermissionDenied(`the key file ${path} has mode ${(mode & 0o777).toString(8)}: others may use it`, {
    field: "file",
    hint: `make it yours alone: chmod 600 ${path}; who may have read it can sign as you`,
  });
}

/** What the parser says is left out: its input is the secret. */
function privateKey(text: string, path: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: text, format: "pem" });
  } catch {
    throw noKey(path);
  }
  if (key.asymmetricKeyType !== "ed25519") throw noKey(path);
  return key;
}

function noKey(path: string): InvalidArgument {
  return new InvalidArgument(`${path} holds no unencrypted Ed25519 key in PEM (PKCS #8)`, {
    field: "file",
    hint: "make one: neleus key new FILE, or openssl genpkey -algorithm ed25519 -out FILE",
  });
}

function publicKeyOf(key: KeyObject): Uint8Array {
  const { x = "" } = createPublicKey(key).export({ format: "jwk" });
  return new Uint8Array(Buffer.from(x, "base64url"));
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

function unusable(path: string, error: unknown, done: string): Unavailable {
  return new Unavailable(`the key file ${path} cannot be ${done}: ${codeOf(error) ?? "unknown failure"}`, {
    field: "file",
  });
}
