// neleus commit prepare, submit and verify: commits that are signed elsewhere, and who has signed one.
import type { Command } from "commander";
import type { CommitRecord, ObjectSignature } from "../client/records.js";
import { validBy } from "../client/signing.js";
import { equalBytes, fromUtf8, toHex } from "../core/bytes.js";
import { InvalidArgument, Malformed, NotAnchored, VerificationFailed } from "../core/errors.js";
import { decodeCommit } from "../core/object/index.js";
import type { MadeSignature } from "../core/signature/index.js";
import { collect, idempotencyOption, leaf, listOption, textOption, withIdempotencyKey } from "./command.js";
import { commitRequest, withCommitOptions } from "./commit-options.js";
import { decodeText, parseHash, readInput } from "./encoding.js";
import { parsePublicKey } from "./key.js";
import { toJsonText, type Printable } from "./output.js";
import type { Session } from "./session.js";

type Options = Readonly<Record<string, unknown>>;

export function registerCommitSigning(commit: Command): void {
  withCommitOptions(
    leaf(commit, "prepare", "the commit that is to be signed elsewhere: a document for submit", prepare),
  );
  withIdempotencyKey(leaf(commit, "submit <file>", "make a prepared commit with its signatures", submit)).option(
    "--signature <public-key:base64>",
    "a signature over the member message of the file (repeatable)",
    collect,
    [],
  );
  leaf(commit, "verify <hash>", "who has signed a commit", verify)
    .option("--signer <public-key>", "one of these must have signed it (repeatable)", collect, [])
    .option("--head <head>", "one of this head's keys must have signed it");
}

/** Signatures for JSON: `listed` says whether a key is one of those that are looked for. */
export function signatureMembers(
  signatures: readonly ObjectSignature[],
  listed?: readonly Uint8Array[],
): readonly Record<string, Printable>[] {
  return signatures.map(({ publicKey, isValid, fault }) => ({
    key: publicKey,
    valid: isValid,
    fault,
    ...(listed && { listed: listed.some((key) => equalBytes(key, publicKey)) }),
  }));
}

/** The same for people, a line each. */
export function signatureLines(signatures: readonly ObjectSignature[], listed?: readonly Uint8Array[]): string[] {
  return signatures.map(({ publicKey, isValid, fault }) => {
    const whose = listed?.some((key) => equalBytes(key, publicKey)) === true ? ", a key of the head" : "";
    return `signed ${toHex(publicKey)}  ${isValid ? `valid${whose}` : `NOT VALID: ${fault ?? ""}`}`;
  });
}

async function prepare(session: Session, _args: readonly string[], options: Options): Promise<void> {
  const { head, request } = commitRequest(options);
  const { commits } = await session.client();
  const { bytes, message, commit, manifests } = await commits.prepare(head, request, { signal: session.signal });
  const document = {
    head,
    commit: base64(bytes),
    message: base64(message),
    manifests: manifests.map(toHex),
    state_root: commit.stateRoot,
    parents: commit.parents,
    time: commit.timeMs,
  };
  // A document for a program either way.
  await session.output.result(document, () => toJsonText(document));
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

async function submit(session: Session, args: readonly string[], options: Options): Promise<void> {
  const signatures = listOption(options, "signature").map(parseSignature);
  if (signatures.length === 0) {
    throw new InvalidArgument("a commit is submitted with a signature: --signature KEY:BASE64", {
      field: "signature",
      hint: "sign the member message, base64-decoded, with Ed25519",
    });
  }
  const prepared = parsePrepared(await readInput(args[0] ?? "", { field: "file", signal: session.signal }));
  const call = { signal: session.signal, ...idempotencyOption(options) };
  const made = await (await session.client()).commits.submit(prepared, signatures, call);
  await printCommitted(session, prepared.head, made);
}

/** What a commit that was just made looks like. */
export async function printCommitted(
  session: Session,
  head: string,
  made: { readonly commit: CommitRecord; readonly receipt: { readonly logIndex: number } },
): Promise<void> {
  const { commit, receipt } = made;
  const { signatures } = commit;
  await session.output.result(
    {
      head,
      commit: commit.hash,
      state_root: commit.stateRoot,
      manifests: commit.ledgerRoot,
      log_index: receipt.logIndex,
      ...(signatures.length === 0 ? {} : { signatures: signatureMembers(signatures) }),
    },
    () => `${toHex(commit.hash)}  ${head}, state ${toHex(commit.stateRoot)}, log index ${receipt.logIndex}`,
  );
}

function parseSignature(text: string): MadeSignature {
  const colon = text.indexOf(":");
  if (colon < 0) throw new InvalidArgument("--signature takes KEY:BASE64", { field: "signature" });
  const publicKey = parsePublicKey(text.slice(0, colon), "signature");
  return { publicKey, signature: decodeText(text.slice(colon + 1), "base64", "signature") };
}

/** @throws InvalidArgument - not what `commit prepare` prints */
function parsePrepared(file: Uint8Array): { head: string; bytes: Uint8Array; manifests: Uint8Array[] } {
  const value = parsedJson(file);
  const { head, commit, manifests } = value;
  const isList = Array.isArray(manifests) && manifests.every((hash) => typeof hash === "string");
  if (typeof head !== "string" || typeof commit !== "string" || !isList) throw noPrepared();
  const bytes = decodeText(commit, "base64", "file");
  requireCommit(bytes);
  return { head, bytes, manifests: manifests.map((hash) => parseHash(hash, "file")) };
}

/** @throws InvalidArgument - the file was altered @throws Unsupported - by a later program */
function requireCommit(bytes: Uint8Array): void {
  try {
    decodeCommit(bytes);
  } catch (cause) {
    throw cause instanceof Malformed ? noPrepared() : cause;
  }
}

function parsedJson(file: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8(file));
  } catch (cause) {
    if (cause instanceof SyntaxError || cause instanceof Malformed) throw noPrepared();
    throw cause;
  }
  if (typeof value !== "object" || value === null) throw noPrepared();
  return value as Record<string, unknown>;
}

function noPrepared(): InvalidArgument {
  return new InvalidArgument("the file is not what neleus commit prepare prints", { field: "file" });
}

async function verify(session: Session, args: readonly string[], options: Options): Promise<void> {
  const { signal } = session;
  const hash = parseHash(args[0] ?? "", "commit");
  const given = listOption(options, "signer").map((text) => parsePublicKey(text, "signer"));
  const head = textOption(options, "head");
  const client = await session.client();
  const commit = await client.commits.get(hash, { signal, commitVerifier: null });
  const keys = [...given, ...(head === undefined ? [] : await client.heads.keys(head, { signal }))];
  const { signatures } = commit;
  const by = validBy(signatures, keys);
  const isAsked = given.length > 0 || head !== undefined;
  if (isAsked && by.length === 0) throw notSignedBy(commit, head, keys.length);
  const invalid = signatures.find(({ isValid }) => !isValid);
  if (!isAsked && signatures.length === 0) throw notSigned(commit, "bears no signature");
  if (!isAsked && invalid !== undefined) {
    throw notSigned(
      commit,
      `bears a signature that is not valid, by ${toHex(invalid.publicKey)}: ${invalid.fault ?? ""}`,
    );
  }
  const verdict = isAsked ? "signed" : "not anchored";
  const words = isAsked ? `signed by ${by.map(toHex).join(", ")}` : "signed, by keys that nobody has named";
  await session.output.result(
    { commit: commit.hash, verdict, signatures: signatureMembers(signatures, isAsked ? keys : undefined) },
    () => [`commit ${toHex(commit.hash)} is ${words}`, ...signatureLines(signatures)].join("\n"),
  );
  if (isAsked) return;
  throw new NotAnchored("the signatures are valid, but nothing says whose keys they are", {
    hint: "name who must have signed it: --signer PUBLIC_KEY, or --head HEAD for the keys that may move a head",
  });
}

function notSignedBy(commit: CommitRecord, head: string | undefined, count: number): VerificationFailed {
  const whose = head === undefined ? "the keys given" : `the keys of head "${head}" or given`;
  const why = count === 0 ? `head "${head ?? ""}" has no keys` : `none of ${whose} has signed it validly`;
  const bears = signatureLines(commit.signatures).join("; ");
  return notSigned(commit, `is not signed as asked: ${why}${bears === "" ? "" : ` (${bears})`}`);
}

function notSigned({ hash }: CommitRecord, what: string): VerificationFailed {
  return new VerificationFailed(`the commit ${toHex(hash)} ${what}`, { facts: { commit: toHex(hash) } });
}
