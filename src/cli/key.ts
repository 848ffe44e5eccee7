// neleus key: signing keys in files of this machine, and which keys may move a head.
//
// Public keys are 64 hex digits everywhere. `--key` is not one of them: it pins the log's verifier key, on every command.
import type { Command } from "commander";
import { createPublicKey } from "node:crypto";
import { createSigningKey } from "../client/file-signer.js";
import { equalBytes, toHex } from "../core/bytes.js";
import { Conflict, InvalidArgument } from "../core/errors.js";
import { publicKeyFault } from "../core/signature/index.js";
import {
  collect,
  freshOption,
  group,
  idempotencyOption,
  leaf,
  listOption,
  requiredOption,
  withFreshness,
  withIdempotencyKey,
} from "./command.js";
import { parseHash } from "./encoding.js";
import type { Session } from "./session.js";

type Options = Readonly<Record<string, unknown>>;

export function registerKey(program: Command): void {
  const key = group(program, "key", "keys that sign commits, and the heads that they may move");
  leaf(key, "new <file>", "make a signing key in a new file of mode 0600 (PKCS #8 PEM)", newKey);
  withFreshness(leaf(key, "list <head>", "the keys that may move a head, provably all of them", listKeys));
  withIdempotencyKey(
    leaf(key, "set <head> [public-key...]", "have a head moved by commits of these keys only", setKeys)
      .option("--none", "of no keys: whoever may write moves it")
      .option("--expected <public-key>", "only while it has exactly these (repeatable)", collect, []),
  );
  withIdempotencyKey(
    leaf(key, "rotate <head>", "put a new key in the place of an old one", rotateKey)
      .requiredOption("--old <public-key>", "one that the head has")
      .requiredOption("--new <public-key>", "the one that is to move it")
      .option("--keep-old", "leave the old one beside it, until its owners have the new one"),
  );
}

async function newKey(session: Session, args: readonly string[]): Promise<void> {
  const [file = ""] = args;
  if (file === "") throw new InvalidArgument("the path of the key file is empty", { field: "file" });
  const key = await createSigningKey(file);
  await session.output.result({ key, file, public: publicPem(key) }, () => `${toHex(key)}  ${file}`);
}

/** SubjectPublicKeyInfo (RFC 8410), which openssl reads. */
function publicPem(key: Uint8Array): string {
  const jwk = { kty: "OKP", crv: "Ed25519", x: Buffer.from(key).toString("base64url") };
  return createPublicKey({ key: jwk, format: "jwk" }).export({ format: "pem", type: "spki" }).toString();
}

/** A public key as an argument. @throws InvalidArgument - not 64 hex digits, or a point that signs nothing or anything */
export function parsePublicKey(text: string, field: string): Uint8Array {
  if (!/^[0-9a-fA-F]{64}$/.test(text)) throw noPublicKey(text, field, "64 hex digits, as neleus key new prints");
  const key = parseHash(text, field);
  const fault = publicKeyFault(key);
  if (fault !== undefined) throw noPublicKey(text, field, fault);
  return key;
}

function noPublicKey(text: string, field: string, why: string): InvalidArgument {
  return new InvalidArgument(`the ${field} "${text}" is no public key: ${why}`, { field });
}

async function listKeys(session: Session, args: readonly string[], options: Options): Promise<void> {
  const [head = ""] = args;
  const { heads } = await session.client();
  const keys = await heads.keys(head, { signal: session.signal, ...freshOption(options) });
  await session.output.result({ head, keys }, () =>
    keys.length === 0 ? `head ${head} has no keys: whoever may write moves it` : keys.map(toHex).join("\n"),
  );
}

async function setKeys(session: Session, args: readonly string[], options: Options): Promise<void> {
  const [head = "", ...texts] = args;
  const isNone = options["none"] === true;
  if (isNone === texts.length > 0) {
    const message = isNone ? "--none goes with no keys" : "name the keys, or take all of them away with --none";
    throw new InvalidArgument(message, { field: "none" });
  }
  const expected = listOption(options, "expected").map((text) => parsePublicKey(text, "expected"));
  await change(session, head, options, {
    keys: texts.map((text) => parsePublicKey(text, "public-key")),
    expected: expected.length === 0 ? undefined : expected,
  });
}

/** What is changed is what was looked at: where others change the keys meanwhile, nothing happens. */
async function rotateKey(session: Session, args: readonly string[], options: Options): Promise<void> {
  const [head = ""] = args;
  const [old, fresh] = [requiredOption(options, "old"), requiredOption(options, "new")];
  const [oldKey, newKey] = [parsePublicKey(old, "old"), parsePublicKey(fresh, "new")];
  const expected = await (await session.client()).heads.keys(head, { signal: session.signal });
  if (!expected.some((key) => equalBytes(key, oldKey))) {
    throw new Conflict(`head "${head}" is not moved by the key ${toHex(oldKey)}`, {
      field: "old",
      hint: `see: neleus key list ${head}`,
      facts: { kind: "head-keys", head, keys: String(expected.length) },
    });
  }
  const kept = options["keepOld"] === true ? expected : expected.filter((key) => !equalBytes(key, oldKey));
  await change(session, head, options, { keys: [...kept, newKey], expected });
}

async function change(
  session: Session,
  head: string,
  options: Options,
  { keys, expected }: { readonly keys: readonly Uint8Array[]; readonly expected: readonly Uint8Array[] | undefined },
): Promise<void> {
  const { heads } = await session.client();
  const call = { signal: session.signal, ...idempotencyOption(options) };
  const receipt = await heads.setKeys(head, keys, { ...call, ...(expected && { expectedKeys: expected }) });
  const shown = [...new Set(keys.map(toHex))].sort();
  await session.output.result({ head, keys: shown, log_index: receipt.logIndex }, () =>
    shown.length === 0 ? `head ${head} has no keys any more` : `head ${head} is moved by:\n${shown.join("\n")}`,
  );
}
