// Goal: key files are what openssl writes and reads, nobody else can read them, and no failure tells any of their bytes.
// Method: files made here and by node:crypto, with every mode and content that must be refused.
import assert from "node:assert/strict";
import { createPrivateKey, createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import { chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { inspect } from "node:util";
import { toHex, utf8 } from "#src/core/bytes.js";
import {
  AlreadyExists,
  InvalidArgument,
  NeleusError,
  NotFound,
  PermissionDenied,
  Unavailable,
} from "#src/core/errors.js";
import { isValidSignature } from "#src/core/signature/index.js";
import { createSigningKey, fileSigner } from "#src/client/file-signer.js";

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "neleus-key-"));
  try {
    await run(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test("a key that is made signs by the strict rule, and is PKCS #8 that others read", () =>
  inFolder(async (folder) => {
    const path = join(folder, "key.pem");
    const publicKey = await createSigningKey(path);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    const pem = await readFile(path, "utf8");
    assert.match(pem, /^-----BEGIN PRIVATE KEY-----\n/);
    const theirs = createPublicKey(createPrivateKey(pem));
    assert.equal(theirs.export({ format: "jwk" }).x, Buffer.from(publicKey).toString("base64url"));
    const signer = await fileSigner(path);
    assert.deepEqual(signer.publicKey, publicKey);
    const message = utf8("a message");
    const signature = await signer.sign(message);
    assert.ok(isValidSignature({ publicKey, message, signature }));
    assert.ok(verify(null, message, theirs, signature));
    await assert.rejects(createSigningKey(path), AlreadyExists);
    assert.equal(await readFile(path, "utf8"), pem);
    await assert.rejects(createSigningKey(join(folder, "no", "key.pem")), Unavailable);
    assert.equal(toHex(publicKey).length, 64);
  }));

test("a file that others may read is refused, whatever way it is reached", { skip: process.platform === "win32" }, () =>
  inFolder(async (folder) => {
    const path = join(folder, "key.pem");
    await createSigningKey(path);
    for (const mode of [0o640, 0o604, 0o660, 0o610, 0o601, 0o602]) {
      await chmod(path, mode);
      await assert.rejects(fileSigner(path), PermissionDenied);
    }
    await symlink(path, join(folder, "link"));
    await assert.rejects(fileSigner(join(folder, "link")), PermissionDenied);
    await chmod(path, 0o400);
    await fileSigner(join(folder, "link"));
  }),
);

test("what is no unencrypted Ed25519 key is refused, and nothing of it is told", () =>
  inFolder(async (folder) => {
    const ec = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
    const ed = generateKeyPairSync("ed25519");
    const pem = ed.privateKey.export({ format: "pem", type: "pkcs8" }).toString();
    const secret = (pem.split("\n")[1] ?? "").slice(24);
    const contents = [
      "",
      "no key",
      ec.export({ format: "pem", type: "pkcs8" }),
      ed.publicKey.export({ format: "pem", type: "spki" }),
      ed.privateKey.export({ format: "pem", type: "pkcs8", cipher: "aes-256-cbc", passphrase: "x" }),
      ed.privateKey.export({ format: "der", type: "pkcs8" }),
      pem.replace("PRIVATE KEY", "PRIVATE KEX"),
      pem.slice(0, -40),
      pem + " ".repeat(20_000),
      `${secret}\n${pem.slice(30)}`,
    ];
    for (const content of contents) {
      const path = join(folder, "key.pem");
      await writeFile(path, content, { mode: 0o600 });
      await assert.rejects(fileSigner(path), (error) => {
        assert.ok(error instanceof InvalidArgument, String(error));
        assert.ok(!inspect(error, { depth: 10, showHidden: true }).includes(secret.slice(4, 20)));
        return true;
      });
    }
    await assert.rejects(fileSigner(join(folder, "missing")), NotFound);
    await mkdir(join(folder, "folder"), { mode: 0o700 });
    await assert.rejects(fileSigner(join(folder, "folder")), NeleusError);
    const path = join(folder, "good.pem");
    await writeFile(path, pem, { mode: 0o600 });
    assert.ok(!inspect(await fileSigner(path), { depth: 10, showHidden: true }).includes(secret.slice(4, 20)));
  }));
