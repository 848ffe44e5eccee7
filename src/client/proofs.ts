// Proofs to be handed to others: fetched, and verified before they are returned.
import { equalBytes } from "../core/bytes.js";
import { IncompleteProof, InvalidArgument, VerificationFailed } from "../core/errors.js";
import { commitHash, manifestHash, mapRoot, type Digest, type MapRoot } from "../core/hashes.js";
import { requireName } from "../core/object/index.js";
import {
  ProofService,
  type ChunkProof,
  type CommitProof,
  type ManifestProof,
  type RangeProof,
  type RefProof,
  type Snapshot,
  type StateProof,
} from "../../gen/neleus/v1/proof_pb.js";
import { checkArgument, countArgument, hashBytes, keyBounds, keyBytes } from "./argument.js";
import type { Connection } from "./connection.js";
import { gatheredRange } from "./gathered-range.js";
import type { FollowedLog, KnownLog } from "./log.js";
import { receivedPart, requireNoCosignatures } from "./received.js";
import type { CommitRecord, HashArgument, Key } from "./records.js";
import type { Commits, ProofOptions, ProofPlace, Proofs } from "./sections.js";
import type { CallOptions } from "./transport.js";
import { openCosigned } from "./trust/index.js";
import { checkProof, type Proof, type ProofClaim } from "./verify/index.js";
import { RANGE_PROOF_TYPE } from "./verify/range-proof.js";
import { requireType, stateChain } from "./verify/state-proof.js";

/** What proofs are made of. */
export interface ProofsContext {
  readonly connection: Connection;
  readonly log: FollowedLog;
  readonly commits: Commits;
}

/** The place of a proof as its request names it, and what the caller trusts of it. */
interface Place {
  readonly at:
    | { readonly case: "head" | "staged" | "tag"; readonly value: string }
    | { readonly case: "commit" | "root"; readonly value: Uint8Array };
  /** Where a head or tag is named, the proof must hold its chain. */
  readonly named: { readonly kind: "head" | "tag"; readonly name: string; readonly staged: boolean } | undefined;
  /** Where a root or a commit is named, the proof must be of it. */
  readonly trusted: Digest | undefined;
}

function placeOf(place: ProofPlace): Place {
  if ("commit" in place) return trustedPlace("commit", place.commit);
  if ("root" in place) return trustedPlace("root", place.root);
  if ("tag" in place) return namedPlace("tag", place.tag);
  return "staged" in place ? namedPlace("staged", place.staged) : namedPlace("head", place.head);
}

/** @throws InvalidArgument - a state root: it has no ledger */
function ledgerPlace(place: ProofPlace): Place {
  if (!("root" in place)) return placeOf(place);
  throw new InvalidArgument("place: a state root has no ledger to look in", { field: "place" });
}

function trustedPlace(kind: "commit" | "root", hash: HashArgument): Place {
  const value = hashBytes(hash, kind);
  return { at: { case: kind, value }, named: undefined, trusted: value };
}

function namedPlace(at: "head" | "staged" | "tag", name: string): Place {
  const kind = at === "tag" ? "tag" : "head";
  checkArgument(kind, () => requireName(name));
  return { at: { case: at, value: name }, named: { kind, name, staged: at === "staged" }, trusted: undefined };
}

/** @throws InvalidArgument - cosignatures are asked for, and the proof ends below the log */
function cosignaturesOf(place: Place | undefined, { withCosignatures = false }: ProofOptions): boolean {
  if (!withCosignatures || place?.named !== undefined) return withCosignatures;
  throw new InvalidArgument("withCosignatures: the proof ends below the log, which is what witnesses cosign", {
    field: "withCosignatures",
    hint: "prove it of a head or tag",
  });
}

function cosignaturesAsked({ withCosignatures = false }: ProofOptions): { readonly withCosignatures: boolean } {
  return { withCosignatures };
}

type NamedRef = { readonly head: string } | { readonly tag: string };

/** @throws InvalidArgument - no name */
function checkedRefName(of: NamedRef): { readonly kind: "head" | "tag"; readonly name: string } {
  const [kind, name] = "tag" in of ? (["tag", of.tag] as const) : (["head", of.head] as const);
  checkArgument(kind, () => requireName(name));
  return { kind, name };
}

export class VerifiedProofs implements Proofs {
  readonly #context: ProofsContext;

  constructor(context: ProofsContext) {
    this.#context = context;
  }

  async state(where: ProofPlace, key: Key, options: ProofOptions = {}): Promise<StateProof> {
    const { connection } = this.#context;
    const place = placeOf(where);
    const bytes = keyBytes(key);
    const withCosignatures = cosignaturesOf(place, options);
    const proof = await this.#verified(place, options, async ({ knownCheckpoint, ...least }) => {
      const at = { at: place.at, ...least };
      const message = { database: connection.database, at, key: bytes, knownCheckpoint, withCosignatures };
      return receivedPart((await connection.unary(ProofService.method.proveState, message, options)).proof, "proof");
    });
    requireClaim(claimOf(proof), (claim) => claim.kind === "state" && equalBytes(claim.key, bytes));
    const expected = await this.#expectedState(place, options);
    if (expected !== undefined) requireSameState(mapRoot(proof.root), expected);
    return proof;
  }

  async range(
    where: ProofPlace,
    range: { readonly prefix?: Key | undefined; readonly from?: Key | undefined; readonly to?: Key | undefined } = {},
    options: ProofOptions = {},
  ): Promise<RangeProof> {
    const { connection } = this.#context;
    const place = placeOf(where);
    const bounds = keyBounds(range);
    if (bounds === undefined)
      throw new InvalidArgument("to: is not above from, so the range is empty", { field: "to" });
    const { from, to } = bounds;
    const withCosignatures = cosignaturesOf(place, options);
    const request = { database: connection.database, from, withCosignatures, ...(to === undefined ? {} : { to }) };
    const expected = await this.#expectedState(place, options);
    const requireHeader = (header: RangeProof, root: MapRoot): void => {
      requireType(header.type, RANGE_PROOF_TYPE);
      this.#requireChain(place, header, options);
      if (expected !== undefined) requireSameState(root, expected);
      stateChain(root, header);
    };
    return this.#verified(place, options, ({ knownCheckpoint, ...least }) => {
      const message = { ...request, at: { at: place.at, ...least }, knownCheckpoint };
      const parts = connection.serverStream(ProofService.method.proveRange, message, options);
      return gatheredRange(parts, { bounds, requireHeader });
    });
  }

  async chunk(
    chunk: { readonly manifest: HashArgument; readonly index: number; readonly place?: ProofPlace | undefined },
    options: ProofOptions = {},
  ): Promise<ChunkProof> {
    const { connection } = this.#context;
    const place = chunk.place === undefined ? undefined : ledgerPlace(chunk.place);
    const manifest = manifestHash(hashBytes(chunk.manifest, "manifest"));
    const index = countArgument(chunk.index, "index");
    const withCosignatures = cosignaturesOf(place, options);
    const request = { database: connection.database, manifest, index: BigInt(index), withCosignatures };
    const proof = await this.#verified(place, options, async ({ knownCheckpoint, ...least }) => {
      const at = place === undefined ? {} : { at: { at: place.at, ...least } };
      const message = { ...request, ...at, knownCheckpoint };
      return receivedPart((await connection.unary(ProofService.method.proveChunk, message, options)).proof, "proof");
    });
    requireClaim(
      claimOf(proof),
      (claim) => claim.kind === "chunk" && equalBytes(claim.manifest, manifest) && claim.index === index,
    );
    if (place !== undefined) this.#requireLedger(place, proof);
    return proof;
  }

  async manifest(manifest: HashArgument, where: ProofPlace, options: ProofOptions = {}): Promise<ManifestProof> {
    const { connection } = this.#context;
    const place = ledgerPlace(where);
    const hash = manifestHash(hashBytes(manifest, "manifest"));
    const withCosignatures = cosignaturesOf(place, options);
    const request = { database: connection.database, manifest: hash, withCosignatures };
    const proof = await this.#verified(place, options, async ({ knownCheckpoint, ...least }) => {
      const message = { ...request, at: { at: place.at, ...least }, knownCheckpoint };
      return receivedPart((await connection.unary(ProofService.method.proveManifest, message, options)).proof, "proof");
    });
    requireClaim(claimOf(proof), (claim) => claim.kind === "manifest" && equalBytes(claim.manifest, hash));
    this.#requireLedger(place, proof);
    return proof;
  }

  async ref(of: NamedRef, options: ProofOptions = {}): Promise<RefProof> {
    const { connection } = this.#context;
    const { kind, name } = checkedRefName(of);
    const request = { database: connection.database, [kind]: name, ...cosignaturesAsked(options) };
    const proof = await this.#ofName(options, async (known) => {
      const message = { ...request, ...known };
      return receivedPart((await connection.unary(ProofService.method.proveRef, message, options)).proof, "proof");
    });
    requireClaim(claimOf(proof), (claim) => claim.kind === "ref" && claim.ref.kind === kind && claim.ref.name === name);
    return proof;
  }

  async commit(of: NamedRef, commit: HashArgument, options: ProofOptions = {}): Promise<CommitProof> {
    const { connection } = this.#context;
    const { kind, name } = checkedRefName(of);
    const wanted = commitHash(hashBytes(commit, "commit"));
    const request = { database: connection.database, [kind]: name, commit: wanted, ...cosignaturesAsked(options) };
    const proof = await this.#ofName(options, async (known) => {
      const message = { ...request, ...known };
      return receivedPart((await connection.unary(ProofService.method.proveCommit, message, options)).proof, "proof");
    });
    requireClaim(
      claimOf(proof),
      (claim) =>
        claim.kind === "commit" &&
        claim.ref.kind === kind &&
        claim.ref.name === name &&
        equalBytes(claim.commit.hash, wanted),
    );
    return proof;
  }

  /** Fetches a proof that is of a head or tag itself. */
  async #ofName<P extends { readonly chain?: Snapshot | undefined }>(
    options: ProofOptions,
    request: (known: KnownLog) => Promise<P>,
  ): Promise<P> {
    const { answer } = await this.#context.log.read(request, ({ chain }) => chain?.log, options);
    this.#requireCosigned(receivedPart(answer.chain, "chain"), options);
    return answer;
  }

  /** What witnesses have cosigned is there only where it was asked for, and the log's key has signed it too. */
  #requireCosigned({ cosigned, log }: Snapshot, { withCosignatures = false }: ProofOptions): void {
    if (!withCosignatures) {
      requireNoCosignatures(cosigned);
      return;
    }
    const { trust } = this.#context.log;
    const { checkpoint } = receivedPart(log, "log proof");
    openCosigned(cosigned, trust.openSeen(checkpoint), (note) => trust.openSeen(note));
  }

  /** Fetches a proof; where it must hold a chain, that is held against the pinned key and all that was seen before. */
  async #verified<P extends Proof & { readonly chain?: Snapshot | undefined; readonly staged: boolean }>(
    place: Place | undefined,
    options: ProofOptions,
    request: (known: KnownLog) => Promise<P>,
  ): Promise<P> {
    if (place?.named === undefined) {
      const proof = await request({ knownCheckpoint: "" });
      this.#requireChain(place, proof, options);
      return proof;
    }
    const { answer } = await this.#context.log.read(request, ({ chain }) => chain?.log, options);
    this.#requireChain(place, answer, options);
    return answer;
  }

  /** Where a head or tag was named, the proof holds its chain, under a checkpoint that the pinned key has signed; else none. */
  #requireChain(
    place: Place | undefined,
    { chain, staged }: { readonly chain?: Snapshot | undefined; readonly staged: boolean },
    options: ProofOptions,
  ): void {
    if (place?.named === undefined) {
      if (chain === undefined) return;
      throw new VerificationFailed("the proof holds the chain of a head or tag that was not asked for");
    }
    const { named } = place;
    const log = receivedPart(chain?.log, "log proof");
    this.#context.log.trust.openSeen(log.checkpoint);
    if (chain !== undefined) this.#requireCosigned(chain, options);
    const { kind, name } = named;
    const isAsked = chain?.[kind] === name && chain[kind === "head" ? "tag" : "head"] === "" && staged === named.staged;
    if (isAsked) return;
    throw new VerificationFailed(
      `the proof is not of what is ${named.staged ? "staged" : "committed"} on ${kind} "${name}"`,
    );
  }

  /** The state that a proof must be of, where the caller named it. A head's is held by its chain. */
  async #expectedState(place: Place, options: CallOptions): Promise<MapRoot | undefined> {
    if (place.trusted === undefined) return undefined;
    return place.at.case === "commit" ? (await this.#commit(place.trusted, options)).stateRoot : mapRoot(place.trusted);
  }

  #commit(hash: Digest, options: CallOptions): Promise<CommitRecord> {
    return this.#context.commits.get(commitHash(hash), options);
  }

  /** The proof must reach the ledger of the place; with a commit it holds that commit. */
  #requireLedger(place: Place, proof: ChunkProof | ManifestProof): void {
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

function requireSameState(root: MapRoot, expected: MapRoot): void {
  if (!equalBytes(root, expected)) throw new VerificationFailed("the proof is of another root than the one asked for");
}
