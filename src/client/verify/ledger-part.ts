// From a manifest up: the ledger that holds it, and the commit or chain above that (FORMATS §6, §7). Of every proof that ends
// in a ledger.
import { equalBytes, toHex } from "../../core/bytes.js";
import { VerificationFailed } from "../../core/errors.js";
import { get, MapKind } from "../../core/map/index.js";
import { ledgerCell, ledgerKeysOf } from "../../core/object/index.js";
import type { ManifestProof } from "../../../gen/neleus/v1/proof_pb.js";
import { receivedCommit } from "../object.js";
import { receivedHash, verifying, verifyNodes } from "../received.js";
import type { ManifestRecord } from "../records.js";
import type { Hold } from "./checked.js";
import { rootChain, type Above } from "./state-proof.js";

const OPEN_COMMIT = "That the commit in the proof is one to rely on: the root given is that of its ledger.";

/** What a proof says of where its ledger stands. */
export type LedgerPart = Pick<ManifestProof, "ledgerRoot" | "ledgerNodes" | "commit" | "chain" | "staged">;

/** @throws VerificationFailed, IncompleteProof - the ledger does not hold the manifest, or what is above does not lead to it */
export function checkLedgerPart(proof: LedgerPart, manifest: Pick<ManifestRecord, "object" | "hash" | "bytes">): Above {
  const hasCommit = proof.commit.length > 0;
  const root = receivedHash(proof.ledgerRoot, "the ledger root");
  requireInLedger(root, proof, manifest);
  const shown = [`The ledger ${toHex(root)} holds that ${manifest.object.kind}.`];
  const holds: Hold[] = [{ what: "ledger root", digest: root, leavesOpen: hasCommit ? [OPEN_COMMIT] : [] }];
  if (proof.chain !== undefined) {
    if (hasCommit) throw new VerificationFailed("the proof holds a commit beside its chain");
    const above = rootChain(proof, { what: "ledger", root, of: ({ ledgerRoot }) => ledgerRoot });
    return { shown: [...shown, ...above.shown], holds: [...holds, ...above.holds], log: above.log };
  }
  if (proof.staged) throw new VerificationFailed("the proof says that its ledger is staged, and names no head");
  if (!hasCommit) return { shown, holds, log: undefined };
  const commit = receivedCommit(proof.commit);
  if (!equalBytes(commit.ledgerRoot, root)) throw new VerificationFailed("the commit in the proof has another ledger");
  return {
    shown: [...shown, `That ledger is the one of commit ${toHex(commit.hash)}.`],
    holds: [...holds, { what: "commit hash", digest: commit.hash, leavesOpen: [] }],
    log: undefined,
  };
}

function requireInLedger(
  root: Uint8Array,
  proof: LedgerPart,
  manifest: Pick<ManifestRecord, "object" | "hash" | "bytes">,
): void {
  const { kind } = manifest.object;
  const [key] = ledgerKeysOf(manifest.object, manifest.hash);
  const map = { kind: MapKind.ledger, root };
  const bytes = key === undefined ? undefined : verifyNodes(get(map, key), proof.ledgerNodes);
  if (bytes === undefined) throw new VerificationFailed(`the ledger in the proof does not hold the ${kind}`);
  const { size } = verifying(`the cell of the ${kind}`, () => ledgerCell.decode(bytes));
  if (size !== manifest.bytes.length) {
    throw new VerificationFailed(
      `the ledger says that the manifest has ${size} bytes; it has ${manifest.bytes.length}`,
    );
  }
}
