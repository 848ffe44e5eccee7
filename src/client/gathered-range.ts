// A range proof put together from its stream. Each part is verified as it arrives, under a root that the header has been
// shown to be right about, so a server cannot make the client gather what proves nothing.
import { create } from "@bufbuild/protobuf";
import { equalBytes } from "../core/bytes.js";
import { VerificationFailed } from "../core/errors.js";
import { mapRoot, type MapRoot } from "../core/hashes.js";
import { MapKind, ScanVerifier } from "../core/map/index.js";
import {
  RangeProofSchema,
  type NodeReveal,
  type ProofServiceProveRangeResponse,
  type RangeProof,
} from "../../gen/neleus/v1/proof_pb.js";
import type { KeyBounds } from "./argument.js";
import { receivedHash, receivedPart, revealBatches } from "./received.js";
import { stateEntry } from "./state-entry.js";

/** What the parts are held against. */
export interface AskedRange {
  readonly bounds: KeyBounds;
  /** Looks at everything but the range and its nodes. @throws VerificationFailed, … - the root is not the one asked for */
  readonly requireHeader: (header: RangeProof, root: MapRoot) => void;
}

/**
 * The whole proof: the first part holds everything but nodes, the others nodes alone.
 * @throws VerificationFailed, IncompleteProof - it is not of this range, or does not show it
 */
export async function gatheredRange(
  parts: AsyncIterable<ProofServiceProveRangeResponse>,
  asked: AskedRange,
): Promise<RangeProof> {
  let header: RangeProof | undefined;
  let verifier: ScanVerifier | undefined;
  const nodes: NodeReveal[] = [];
  for await (const part of parts) {
    const proof = receivedPart(part.proof, "proof");
    if (header === undefined) header = proof;
    else if (!isNodesAlone(proof)) throw new VerificationFailed("a later part of the proof holds more than nodes");
    verifier ??= openRange(header, asked);
    for (const reveals of revealBatches(proof.nodes)) {
      for (const { key, cell } of verifier.push(reveals)) stateEntry(key, cell);
    }
    for (const node of proof.nodes) nodes.push(node);
  }
  receivedPart(verifier, "header").finish();
  return create(RangeProofSchema, { ...receivedPart(header, "header"), nodes });
}

function openRange(header: RangeProof, { bounds, requireHeader }: AskedRange): ScanVerifier {
  const { from, to } = bounds;
  const isAsked = equalBytes(header.from, from) && sameEnd(header.to, to);
  if (!isAsked) throw new VerificationFailed("the proof is of another range than the one asked for");
  const root = mapRoot(receivedHash(header.root, "the state root"));
  requireHeader(header, root);
  return new ScanVerifier({ kind: MapKind.state, root }, { from, to });
}

function sameEnd(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : equalBytes(a, b);
}

function isNodesAlone(proof: RangeProof): boolean {
  const { type, root, from, to, chain, staged } = proof;
  return type === "" && root.length === 0 && from.length === 0 && to === undefined && chain === undefined && !staged;
}
