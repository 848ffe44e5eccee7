// The proof of a range of keys: a witness whose entries are the answer, and the chain above the root (FORMATS §4, §7).
import { toHex } from "../../core/bytes.js";
import { entriesOfRuns, MapKind, ScanVerifier, type EntryRun } from "../../core/map/index.js";
import type { RangeProof } from "../../../gen/neleus/v1/proof_pb.js";
import { receivedHash, revealBatches, verifying } from "../received.js";
import { stateEntry } from "../state-entry.js";
import { shownKey, type CheckedProof } from "./checked.js";
import { NOT_SHOWN_OF_STATE, requireType, stateChain } from "./state-proof.js";

export const RANGE_PROOF_TYPE = "neleus.range-proof.v1";

/**
 * @throws VerificationFailed, IncompleteProof - a part is wrong or missing
 * @throws Unsupported - a version or type that this program does not know
 */
export function checkRangeProof(proof: RangeProof): CheckedProof {
  requireType(proof.type, RANGE_PROOF_TYPE);
  const root = receivedHash(proof.root, "the state root");
  const from = new Uint8Array(proof.from);
  const to = proof.to === undefined ? undefined : new Uint8Array(proof.to);
  const verifier = verifying("the range", () => new ScanVerifier({ kind: MapKind.state, root }, { from, to }));
  // Entries are read once all of them are proved, so that a wrong proof costs no more than its hashes.
  const proved: EntryRun[] = [];
  for (const reveals of revealBatches(proof.nodes)) proved.push(...verifier.pushRuns(reveals));
  verifier.finish();
  const entries = entriesOfRuns(proved).map(({ key, cell }) => stateEntry(key, cell));
  const above = stateChain(root, proof);
  const start = from.length === 0 ? "the first key" : shownKey(from);
  const end = to === undefined ? "to the last" : `up to, not including, ${shownKey(to)}`;
  const count = entries.length === 1 ? "one key" : `${entries.length} keys`;
  return {
    claim: { kind: "range", from, to, entries },
    shown: [`The state ${toHex(root)} holds exactly ${count} from ${start} ${end}.`, ...above.shown],
    notShown: ["The values themselves: fetch the blobs and hash them.", ...NOT_SHOWN_OF_STATE],
    holds: [{ what: "state root", digest: root, leavesOpen: [] }, ...above.holds],
    log: above.log,
  };
}
