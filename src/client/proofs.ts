// Proofs to be handed to others: fetched, and verified before they are returned.
import { create } from "@bufbuild/protobuf";
import { equalBytes } from "../core/bytes.js";
import { IncompleteProof, InvalidArgument, VerificationFailed } from "../core/errors.js";
import { commitHash, manifestHash, mapRoot, type Digest } from "../core/hashes.js";
import { requireName } from "../core/object/index.js";
import {
  ProofService,
  RangeProofSchema,
  type ChunkProof,
  type NodeReveal,
  type ProofServiceProveRangeResponse,
  type RangeProof,
  type Snapshot,
  type StateProof,
} from "../../gen/neleus/v1/proof_pb.js";
import { checkArgument, countArgument, hashBytes, keyBounds, keyBytes } from "./argument.js";
import type { Connection } from "./connection.js";
import type { FollowedLog } from "./log.js";
import { receivedPart } from "./received.js";
import type { CommitRecord, HashArgument, Key } from "./records.js";
import type { Commits, ProofPlace, Proofs } from "./sections.js";
import type { CallOptions } from "./transport.js";
import { checkProof, type Proof, type ProofClaim } from "./verify/index.js";

/** What proofs are made of. */
export interface ProofsContext {
  readonly connection: Connection;
  readonly log: FollowedLog;
  readonly commits: Commits;
}

/** The place of a proof as its request names it, and what the caller trusts of it. */
interface Place {
  readonly at: { case: "head" | "staged"; value: string } | { case: "commit" | "root"; value: Uint8Array };
  /** Where a head is named, the proof must hold its chain. */
  readonly head: { readonly name: string; readonly staged: boolean } | undefined;
  /** Where a root or a commit is named, the proof must be of it. */
  readonly trusted: Digest | undefined;
}

function placeOf(place: ProofPlace): Place {
  if ("head" in place || "staged" in place) {
    const staged = "staged" in place;
    const name = staged ? place.staged : place.head;
    checkArgument("head", () => requireName(name));
    return { at: { case: staged ? "staged" : "head", value: name }, head: { name, staged }, trusted: undefined };
  }
  const isCommit = "commit" in place;
  const value = isCommit ? hashBytes(place.commit, "commit") : hashBytes(place.root, "root");
  return { at: { case: isCommit ? "commit" : "root", value }, head: undefined, trusted: value };
}

export class VerifiedProofs implements Proofs {
  readonly #context: ProofsContext;

  constructor(context: ProofsContext) {
    this.#context = context;
  }

  async state(where: ProofPlace, key: Key, options: CallOptions = {}): Promise<StateProof> {
    const { connection } = this.#context;
    const place = placeOf(where);
    const bytes = keyBytes(key);
    const request = { database: connection.database, at: { at: place.at }, key: bytes };
    const proof = await this.#verified(place, options, async (knownCheckpoint) => {
      const message = { ...request, knownCheckpoint };
      return receivedPart((await connection.unary(ProofService.method.proveState, message, options)).proof, "proof");
    });
    requireClaim(claimOf(proof), (claim) => claim.kind === "state" && equalBytes(claim.key, bytes));
    await this.#requireState(place, mapRoot(proof.root), options);
    return proof;
  }

  async range(
    where: ProofPlace,
    range: { readonly prefix?: Key | undefined; readonly from?: Key | undefined; readonly to?: Key | undefined } = {},
    options: CallOptions = {},
  ): Promise<RangeProof> {
    const { connection } = this.#context;
    const place = placeOf(where);
    const bounds = keyBounds(range);
    if (bounds === undefined)
      throw new InvalidArgument("to: is not above from, so the range is empty", { field: "to" });
    const { from, to } = bounds;
    const request = { database: connection.database, at: { at: place.at }, from, ...(to === undefined ? {} : { to }) };
    const proof = await this.#verified(place, options, (knownCheckpoint) => {
      const message = { ...request, knownCheckpoint };
      return gathered(connection.serverStream(ProofService.method.proveRange, message, options));
    });
    requireClaim(
      claimOf(proof),
      (claim) => claim.kind === "range" && equalBytes(claim.from, from) && sameEnd(claim.to, to),
    );
    await this.#requireState(place, mapRoot(proof.root), options);
    return proof;
  }

  async chunk(
    chunk: { readonly manifest: HashArgument; readonly index: number; readonly place?: ProofPlace | undefined },
    options: CallOptions = {},
  ): Promise<ChunkProof> {
    const { connection } = this.#context;
    const place = chunk.place === undefined ? undefined : placeOf(chunk.place);
    if (place?.at.case === "root") {
      throw new InvalidArgument("place: a state root has no ledger to find the document in", { field: "place" });
    }
    const manifest = manifestHash(hashBytes(chunk.manifest, "manifest"));
    const index = countArgument(chunk.index, "index");
    const at = place === undefined ? {} : { at: { at: place.at } };
    const request = { database: connection.database, manifest, index: BigInt(index), ...at };
    const proof = await this.#verified(place, options, async (knownCheckpoint) => {
      const message = { ...request, knownCheckpoint };
      return receivedPart((await connection.unary(ProofService.method.proveChunk, message, options)).proof, "proof");
    });
    requireClaim(
      claimOf(proof),
      (claim) => claim.kind === "chunk" && equalBytes(claim.manifest, manifest) && claim.index === index,
    );
    if (place !== undefined) this.#requireLedger(place, proof);
    return proof;
  }

  /** Fetches a proof; where it must hold a chain, that is held against the pinned key and all that was seen before. */
  async #verified<P extends Proof & { readonly chain?: Snapshot | undefined; readonly staged: boolean }>(
    place: Place | undefined,
    options: CallOptions,
    request: (knownCheckpoint: string) => Promise<P>,
  ): Promise<P> {
    if (place?.head === undefined) {
      const proof = await request("");
      if (proof.chain === undefined) return proof;
      throw new VerificationFailed("the proof holds the chain of a head that was not asked for");
    }
    const { name, staged } = place.head;
    const { answer } = await this.#context.log.read(request, ({ chain }) => chain?.log, options);
    if (answer.chain?.head === name && answer.staged === staged) return answer;
    throw new VerificationFailed(`the proof is not of what is ${staged ? "staged" : "committed"} on head "${name}"`);
  }

  /** The state that the proof is of must be the one that the caller named. A head's is held by its chain. */
  async #requireState(place: Place, root: Digest, options: CallOptions): Promise<void> {
    if (place.trusted === undefined) return;
    const isCommit = place.at.case === "commit";
    const expected = isCommit ? (await this.#commit(place.trusted, options)).stateRoot : place.trusted;
    if (!equalBytes(root, expected))
      throw new VerificationFailed("the proof is of another root than the one asked for");
  }

  #commit(hash: Digest, options: CallOptions): Promise<CommitRecord> {
    return this.#context.commits.get(commitHash(hash), options);
  }

  /** A chunk's proof must reach the ledger of the place; with a commit it holds that commit. */
  #requireLedger(place: Place, proof: ChunkProof): void {
    if (proof.ledgerRoot.length === 0) throw new IncompleteProof("the proof ends below the ledger that was asked for");
    if (place.trusted === undefined) return;
    const { trusted } = place;
    if (checkProof(proof).holds.some(({ what, digest }) => what === "commit hash" && equalBytes(digest, trusted)))
      return;
    throw new VerificationFailed("the proof is of another commit than the one asked for");
  }
}

function claimOf(proof: Proof): ProofClaim {
  return checkProof(proof).claim;
}

function requireClaim(claim: ProofClaim, isAsked: (claim: ProofClaim) => boolean): void {
  if (!isAsked(claim)) throw new VerificationFailed("the proof is of something else than what was asked for");
}

function sameEnd(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : equalBytes(a, b);
}

/** A range proof put together: the first part holds everything but nodes, the others nodes alone. */
async function gathered(parts: AsyncIterable<ProofServiceProveRangeResponse>): Promise<RangeProof> {
  let header: RangeProof | undefined;
  const nodes: NodeReveal[] = [];
  for await (const part of parts) {
    const proof = receivedPart(part.proof, "proof");
    for (const node of proof.nodes) nodes.push(node);
    if (header === undefined) header = proof;
    else if (!isNodesAlone(proof)) throw new VerificationFailed("a later part of the proof holds more than nodes");
  }
  return create(RangeProofSchema, { ...receivedPart(header, "proof"), nodes });
}

function isNodesAlone(proof: RangeProof): boolean {
  const { type, root, from, to, chain, staged } = proof;
  return type === "" && root.length === 0 && from.length === 0 && to === undefined && chain === undefined && !staged;
}
