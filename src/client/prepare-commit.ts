// A commit that is about to be signed. Nothing that a server says is signed because it says so: the bytes are made here,
// from what the caller asked for and what the head has under a verified checkpoint, and the server's must be the same.
//
//   answer ─► snapshot ─► parent, staged state root, staged ledger root     (proved up to the pinned key)
//                                   manifests named ─► ledger root          (computed here: FORMATS §4, transition)
//   author, message, time, meta, database                                   (the caller's, this client's)
//
// Cost: one round trip, and one for each manifest, whose place in the ledger is read in its bytes.
import { compareBytes, equalBytes, toHex } from "../core/bytes.js";
import { NotFound, VerificationFailed } from "../core/errors.js";
import { mapRoot, type ManifestHash, type MapRoot } from "../core/hashes.js";
import { parseOrigin } from "../core/log/index.js";
import { MapKind, verifyTransition, type Edit } from "../core/map/index.js";
import { decodeCommit, encodeCommit, ledgerCell, ledgerKeysOf, type Commit } from "../core/object/index.js";
import { signaturePayload } from "../core/signature/index.js";
import { CommitService, type CommitServicePrepareResponse } from "../../gen/neleus/v1/commit_pb.js";
import { countArgument } from "./argument.js";
import { commitFields, distinctHashes, inGroups, readingOptions, type CommitContext } from "./commit-making.js";
import { callOptions } from "./connection.js";
import { getManifest } from "./documents.js";
import { receivedCommit } from "./object.js";
import { receivedPart, requireNoCosignatures, revealBatches, verifying } from "./received.js";
import type { CommitRequest } from "./records.js";
import type { PreparedCommit, PrepareOptions } from "./sections.js";
import type { CallOptions } from "./transport.js";
import { headChain, type HeadChain } from "./verify/chain.js";

/** Prepares a commit. See `Commits.prepare`. */
export async function prepareCommit(
  context: CommitContext,
  head: string,
  { request, options }: { readonly request: CommitRequest; readonly options: PrepareOptions },
): Promise<PreparedCommit> {
  const { connection, log } = context;
  const timeMs = countArgument(request.timeMs ?? context.clock(), "timeMs");
  const fields = commitFields(connection, head, { ...request, timeMs });
  const expected = await expectedParent(context, head, { request, options });
  const { answer, seen } = await log.read(
    (known) =>
      connection.unary(CommitService.method.prepare, { ...fields, ...expected, ...known }, callOptions(options)),
    ({ snapshot }) => snapshot?.log,
    options,
  );
  const message = receivedPart(answer.snapshot, "snapshot");
  if (message.head !== head || message.tag !== "")
    throw new VerificationFailed(`the answer is not about head "${head}", which was asked for`);
  requireNoCosignatures(message.cosigned);
  const chain = headChain(seen.refsRoot, message);
  if (chain === undefined) {
    throw new NotFound(`head "${head}" does not exist, by proof`, { facts: { kind: "head", head } });
  }
  requireExpected(head, chain, { ...fields, ...expected });
  const manifests = await ledgerWith(context, { chain, answer, manifests: fields.manifests }, options);
  const bytes = encodeCommit({
    v: 1,
    parents: chain.commitHash === undefined ? [] : [chain.commitHash],
    stateRoot: chain.stagedStateRoot,
    manifests,
    author: fields.author,
    message: fields.message,
    time: timeMs,
    database: parseOrigin(log.trust.origin).databaseId,
    ...(Object.keys(fields.meta).length === 0 ? {} : { meta: fields.meta }),
  });
  requireSame(bytes, answer.commit);
  return {
    head,
    bytes,
    message: signaturePayload("commit:", bytes),
    commit: receivedCommit(bytes),
    manifests: fields.manifests,
  };
}

/**
 * Whoever judges commits does not sign on top of one that it would refuse: then the head is read first, and the new commit
 * must extend what was read.
 */
async function expectedParent(
  context: CommitContext,
  head: string,
  { request, options }: { readonly request: CommitRequest; readonly options: PrepareOptions },
): Promise<{ readonly expectedCommit?: Uint8Array }> {
  if (context.verifierOf(options) === undefined) return {};
  const { commitHash } = await context.snapshot(head, readingOptions(options));
  return request.expectedCommit === undefined ? { expectedCommit: commitHash ?? new Uint8Array(0) } : {};
}

/** An honest server has refused this itself. @throws VerificationFailed */
function requireExpected(
  head: string,
  chain: HeadChain,
  expected: { readonly expectedCommit?: Uint8Array; readonly expectedRoot?: Uint8Array },
): void {
  const { expectedCommit, expectedRoot } = expected;
  const parent = chain.commitHash ?? new Uint8Array(0);
  if (expectedCommit !== undefined && !equalBytes(parent, expectedCommit)) throw otherHead(head, "commit");
  if (expectedRoot !== undefined && !equalBytes(chain.stagedStateRoot, expectedRoot)) throw otherHead(head, "root");
}

function otherHead(head: string, what: string): VerificationFailed {
  return new VerificationFailed(
    `head "${head}" has another ${what} than the expected one, and it was prepared all the same`,
  );
}

/**
 * The staged ledger with these manifests in it, computed from the nodes that this touches.
 * @throws VerificationFailed, IncompleteProof - they are not nodes of the staged ledger, or not all that it takes
 */
async function ledgerWith(
  { connection }: CommitContext,
  prepared: {
    readonly chain: HeadChain;
    readonly answer: CommitServicePrepareResponse;
    readonly manifests: readonly ManifestHash[];
  },
  options: CallOptions,
): Promise<MapRoot> {
  const { chain, answer } = prepared;
  const manifests = distinctHashes(prepared.manifests);
  if (manifests.length === 0 && answer.ledger.length === 0) return chain.stagedLedgerRoot;
  const records = await inGroups(manifests, (hash) => getManifest(connection, hash, callOptions(options)));
  const edits: Edit[] = records.flatMap(({ hash, bytes, object }) => {
    const cell = ledgerCell.encode({ size: bytes.length });
    return ledgerKeysOf(object, hash).map((key) => ({ key, cell }));
  });
  edits.sort((a, b) => compareBytes(a.key, b.key));
  const map = { kind: MapKind.ledger, root: chain.stagedLedgerRoot };
  return mapRoot(verifyTransition(map, edits, revealBatches(answer.ledger)).root);
}

/** @throws VerificationFailed - the server would have something else signed */
function requireSame(made: Uint8Array, received: Uint8Array): void {
  if (equalBytes(made, received)) return;
  const { object } = verifying("the prepared commit", () => decodeCommit(new Uint8Array(received)));
  const member = differingMember(decodeCommit(made).object, object);
  throw new VerificationFailed(`the server prepared a commit with another ${member} than was asked for`, {
    facts: { member },
    evidence: new Uint8Array(received),
  });
}

const MEMBERS = {
  parents: "parents",
  author: "author",
  message: "message",
  stateRoot: "state root",
  manifests: "ledger root",
  time: "time",
  database: "database",
  meta: "meta",
  signatures: "signatures",
} as const satisfies Partial<Record<keyof Commit, string>>;

function differingMember(asked: Commit, received: Commit): string {
  for (const [member, name] of Object.entries(MEMBERS) as [keyof typeof MEMBERS, string][]) {
    if (comparable(asked[member]) !== comparable(received[member])) return name;
  }
  return "member";
}

function comparable(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => (part instanceof Uint8Array ? toHex(part) : part));
}
