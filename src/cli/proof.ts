// neleus proof and verify: proofs to hand to others, and checking them with no server at hand.
import type { Command } from "commander";
import { toJson } from "@bufbuild/protobuf";
import {
  ChunkProofSchema,
  CommitProofSchema,
  ManifestProofSchema,
  RangeProofSchema,
  RefProofSchema,
  StateProofSchema,
} from "../../gen/neleus/v1/proof_pb.js";
import type { ProofOptions, ProofPlace } from "../client/sections.js";
import {
  isEvidence,
  parseProof,
  verifyEvidence,
  verifyProof,
  type EvidenceReport,
  type ProofReport,
} from "../client/verify/index.js";
import { IncompleteProof, InvalidArgument, NotAnchored } from "../core/errors.js";
import { freshOption, group, leaf, requiredOption, textOption, withFreshness } from "./command.js";
import { decodeText, parseHash, parseKey, readInput } from "./encoding.js";
import { headOrTag } from "./place.js";
import type { Session } from "./session.js";
import { witnessesMember, witnessPolicy, withWitnesses } from "./witnesses.js";

type Options = Readonly<Record<string, unknown>>;

export function registerProof(program: Command): void {
  const proof = group(program, "proof", "self-contained proofs, as JSON; of a tag: tag:NAME for the head");
  const proofs = (command: Command): Command =>
    withFreshness(command).option(
      "--with-cosignatures",
      "with what witnesses have cosigned of the log, for verify --witness",
    );
  const places = (command: Command): Command =>
    proofs(command).option("--committed", "of the head's commit instead of its staged state");
  places(leaf(proof, "state <head> <key>", "that a key is present with a value, or absent", proveState));
  places(leaf(proof, "range <head>", "every key of a range, and that there are no others", proveRange))
    .option("--prefix <key>", "only keys that start so")
    .option("--from <key>", "first key, included")
    .option("--to <key>", "end, excluded");
  places(leaf(proof, "chunk <manifest> <index>", "that a chunk stands at an index of a document", proveChunk)).option(
    "--head <head>",
    "also that the document is in this head's ledger",
  );
  places(leaf(proof, "manifest <manifest>", "that a manifest is in a ledger", proveManifest)).requiredOption(
    "--head <head>",
    "whose ledger",
  );
  proofs(
    leaf(proof, "commit <head>", "the newest commit of a head, or that there is no such head", proveCommit),
  ).option(
    "--commit <hash>",
    "instead that this commit is in the head's history: the newest, or one that it descends from",
  );
  withWitnesses(
    leaf(program, "verify <file>", "check a proof, or evidence that was kept (- for stdin), with no server", verify),
  )
    .option("--root <hex>", "the root that you trust")
    .option("--checkpoint <file>", "a checkpoint that you have seen: the proof's must be it or extend it");
}

/** A head as it is staged or committed, or a tag. */
function place(name: string, options: Options): ProofPlace {
  const named = headOrTag(name);
  return "tag" in named || options["committed"] === true ? named : { staged: named.head };
}

/** What every proof is asked with. */
function callOptions(session: Session, options: Options): ProofOptions {
  const withCosignatures = options["withCosignatures"] === true;
  return { signal: session.signal, withCosignatures, ...freshOption(options) };
}

/** A proof is a file for programs: canonical protobuf JSON, with --json on one line. */
async function printProof(session: Session, json: unknown): Promise<void> {
  await session.output.write(`${session.output.json ? JSON.stringify(json) : JSON.stringify(json, undefined, 2)}\n`);
}

async function proveState(session: Session, args: readonly string[], options: Options): Promise<void> {
  const [head = "", keyText = ""] = args;
  const key = parseKey(keyText, session.keyEncoding);
  const proof = await (await session.client()).proofs.state(place(head, options), key, callOptions(session, options));
  await printProof(session, toJson(StateProofSchema, proof, { alwaysEmitImplicit: true }));
}

async function proveRange(session: Session, args: readonly string[], options: Options): Promise<void> {
  const bounds = Object.fromEntries(
    ["prefix", "from", "to"].flatMap((name) => {
      const text = textOption(options, name);
      return text === undefined ? [] : [[name, decodeText(text, session.keyEncoding, name)]];
    }),
  );
  const proof = await (
    await session.client()
  ).proofs.range(place(args[0] ?? "", options), bounds, callOptions(session, options));
  await printProof(session, toJson(RangeProofSchema, proof, { alwaysEmitImplicit: true }));
}

async function proveChunk(session: Session, args: readonly string[], options: Options): Promise<void> {
  const [manifestText = "", indexText = ""] = args;
  const head = textOption(options, "head");
  const proof = await (
    await session.client()
  ).proofs.chunk(
    {
      manifest: parseHash(manifestText, "manifest"),
      index: parseIndex(indexText),
      ...(head === undefined ? {} : { place: place(head, options) }),
    },
    callOptions(session, options),
  );
  await printProof(session, toJson(ChunkProofSchema, proof, { alwaysEmitImplicit: true }));
}

async function proveManifest(session: Session, args: readonly string[], options: Options): Promise<void> {
  const manifest = parseHash(args[0] ?? "", "manifest");
  const where = place(requiredOption(options, "head"), options);
  const call = callOptions(session, options);
  const proof = await (await session.client()).proofs.manifest(manifest, where, call);
  await printProof(session, toJson(ManifestProofSchema, proof, { alwaysEmitImplicit: true }));
}

async function proveCommit(session: Session, args: readonly string[], options: Options): Promise<void> {
  const call = callOptions(session, options);
  const of = headOrTag(args[0] ?? "");
  const text = textOption(options, "commit");
  const commit = text === undefined ? undefined : parseHash(text, "commit");
  const { proofs } = await session.client();
  const json =
    commit === undefined
      ? toJson(RefProofSchema, await proofs.ref(of, call), { alwaysEmitImplicit: true })
      : toJson(CommitProofSchema, await proofs.commit(of, commit, call), { alwaysEmitImplicit: true });
  await printProof(session, json);
}

/** An argument, and no option: the error must not name one. @throws InvalidArgument */
function parseIndex(text: string): number {
  const index = Number(text);
  if (/^[0-9]+$/.test(text) && Number.isSafeInteger(index)) return index;
  throw new InvalidArgument(`the index is a whole number from 0, not "${text}"`, { field: "index" });
}

async function verify(session: Session, args: readonly string[], options: Options): Promise<void> {
  const rootText = textOption(options, "root");
  // Wrong use is told before the file is looked at.
  const root = rootText === undefined ? undefined : parseHash(rootText, "root");
  const witnesses = witnessPolicy(options);
  const checkpointFile = textOption(options, "checkpoint");
  const verifierKey = session.globals.key;
  const { signal } = session;
  const decoder = new TextDecoder();
  const file = await readInput(args[0] ?? "", { field: "file", signal });
  const anchors = {
    ...(verifierKey === undefined ? {} : { verifierKey }),
    ...(checkpointFile === undefined
      ? {}
      : { checkpoint: decoder.decode(await readInput(checkpointFile, { field: "checkpoint", signal })) }),
  };
  if (isEvidence(file)) {
    if (root !== undefined) throw new InvalidArgument("evidence hangs on no root: give --key", { field: "root" });
    if (witnesses !== undefined) {
      throw new InvalidArgument("evidence holds nothing that witnesses cosigned", { field: "witness" });
    }
    await printEvidence(session, verifyEvidence(file, anchors));
    return;
  }
  const report = verifyProof(parseProof(file), { ...anchors, witnesses, root });
  await printReport(session, report, report.claim.kind);
  if (report.verdict === "not anchored") {
    throw new NotAnchored("the proof is consistent, but nothing says that its root is the right one", {
      hint: "hold it against something that you trust: --root HEX or --key VERIFIER_KEY",
    });
  }
}

/** Done only where it shows two histories by a key that the caller gave. */
async function printEvidence(session: Session, report: EvidenceReport): Promise<void> {
  await printReport(session, report, "evidence");
  if (report.verdict === "not anchored") {
    throw new NotAnchored("a key has signed two histories, but only the file says whose key it is", {
      hint: "give the key that you know the log by: --key VERIFIER_KEY",
    });
  }
  if (report.verdict === "not shown") {
    throw new IncompleteProof("the evidence does not show a lie to somebody who did not see it happen", {
      hint: "what it shows, and what not, is listed; a checkpoint of your own may show more: --checkpoint FILE",
    });
  }
}

type Report = Pick<ProofReport, "shown" | "anchoredTo" | "notShown"> & {
  readonly verdict: string;
  readonly witnesses?: ProofReport["witnesses"];
};

async function printReport(session: Session, report: Report, kind: string): Promise<void> {
  const { verdict, shown, anchoredTo, notShown } = report;
  const result = { verdict, kind, shown, anchored_to: anchoredTo, not_shown: notShown };
  await session.output.result({ ...result, ...witnessesMember(report.witnesses) }, () => reportText(report));
}

function reportText(report: Report): string {
  const list = (title: string, lines: readonly string[]): string[] =>
    lines.length === 0 ? [] : [title, ...lines.map((line) => `  - ${line}`)];
  return [
    report.verdict,
    ...list("shown:", report.shown),
    ...list("anchored to:", report.anchoredTo),
    ...list("not shown:", report.notShown),
  ].join("\n");
}
