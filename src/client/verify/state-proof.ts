// The proof of one key: a witness over the state map, the value, and the chain above the root (FORMATS §4, §7).
import { toHex } from "../../core/bytes.js";
import { Unsupported, VerificationFailed } from "../../core/errors.js";
import { get, MapKind } from "../../core/map/index.js";
import type { MapRoot } from "../../core/hashes.js";
import type { Snapshot, StateProof } from "../../../gen/neleus/v1/proof_pb.js";
import { receivedHash, verifying, verifyNodes } from "../received.js";
import { checkedValue, stateEntry } from "../state-entry.js";
import { checkedChain, requireSameRoot, shownKey, type CheckedProof } from "./checked.js";

export const STATE_PROOF_TYPE = "neleus.state-proof.v1";

/** @throws Unsupported - another type of proof */
export function requireType(actual: string, expected: string): void {
  if (actual === expected) return;
  throw new Unsupported(`a proof of type ${JSON.stringify(actual.slice(0, 64))}; expected is ${expected}`);
}

/** What proofs of state do not show, whatever else they show. */
export const NOT_SHOWN_OF_STATE: readonly string[] = [
  "That whoever built the root built it well-formed: a writer, fsck or a full scan shows that.",
  "Who wrote the values.",
];

/**
 * @throws VerificationFailed, IncompleteProof - a part is wrong or missing
 * @throws Unsupported - a version or type that this program does not know
 */
export function checkStateProof(proof: StateProof): CheckedProof {
  requireType(proof.type, STATE_PROOF_TYPE);
  const root = receivedHash(proof.root, "the state root");
  const key = new Uint8Array(proof.key);
  const cell = verifying("the key", () => verifyNodes(get({ kind: MapKind.state, root }, key), proof.nodes));
  if (proof.present !== (cell !== undefined)) {
    throw new VerificationFailed(
      `the proof says that the key is ${proof.present ? "present" : "absent"}; its witness does not`,
    );
  }
  if (cell === undefined && proof.value !== undefined)
    throw new VerificationFailed("the proof holds a value of an absent key");
  const entry = cell === undefined ? undefined : stateEntry(key, cell);
  const value = entry === undefined || proof.value === undefined ? undefined : checkedValue(entry, proof.value).bytes;
  const above = stateChain(root, proof);
  const name = shownKey(key);
  const shown =
    entry === undefined
      ? [`Key ${name} is absent from the state ${toHex(root)}.`]
      : [
          `Key ${name} is in the state ${toHex(root)}, with a value of ${entry.sizeBytes} bytes and hash ${toHex(entry.hash)}.`,
          ...(value === undefined ? [] : ["The value in the proof has that size and hash."]),
        ];
  const withoutValue = entry !== undefined && value === undefined;
  return {
    claim: { kind: "state", key, entry, value },
    shown: [...shown, ...above.shown],
    notShown: [...(withoutValue ? ["The value itself: fetch the blob and hash it."] : []), ...NOT_SHOWN_OF_STATE],
    holds: [{ what: "state root", digest: root, leavesOpen: [] }, ...above.holds],
    log: above.log,
  };
}

/** What a proof says of where its root stands. */
interface PlacedProof {
  readonly chain?: Snapshot | undefined;
  readonly staged: boolean;
}

/** The part of a checked proof that stands above its root. */
export type Above = Pick<CheckedProof, "shown" | "holds" | "log">;

export const NOTHING_ABOVE: Above = { shown: [], holds: [], log: undefined };

/** The chain above a state root. @throws VerificationFailed, IncompleteProof - it does not lead to that root */
export function stateChain(root: Uint8Array, proof: PlacedProof): Above {
  return rootChain(proof, { what: "state", root, of: ({ stateRoot }) => stateRoot });
}

/** Which of the roots at the end of a chain a proof is of. */
interface RootPlace {
  readonly what: "state" | "ledger";
  readonly root: Uint8Array;
  readonly of: (roots: { readonly stateRoot: MapRoot; readonly ledgerRoot: MapRoot }) => MapRoot;
}

/** The chain above a root. @throws VerificationFailed, IncompleteProof - it does not lead to that root */
export function rootChain(proof: PlacedProof, place: RootPlace): Above {
  if (proof.chain === undefined) {
    if (proof.staged) throw new VerificationFailed("the proof says that its root is staged, and names no head");
    return NOTHING_ABOVE;
  }
  const { what, root } = place;
  const { name, staged, committed, log, shown } = checkedChain(proof.chain);
  if (proof.staged) {
    if (staged === undefined) throw new VerificationFailed(`the proof says that its root is staged, and is of ${name}`);
    requireSameRoot(what, { proof: root, chain: place.of(staged) });
    return { shown: [`That ${what} is what is staged on ${name}.`, ...shown], holds: [], log };
  }
  if (committed === undefined) throw new VerificationFailed(`the proof is of the commit of ${name}, which has none`);
  requireSameRoot(what, { proof: root, chain: place.of(committed.commit) });
  const which = staged === undefined ? `that ${name} names` : `the newest of ${name}`;
  return {
    shown: [`That ${what} is the one of commit ${toHex(committed.hash)}, ${which}.`, ...shown],
    holds: [{ what: "commit hash", digest: committed.hash, leavesOpen: [] }],
    log,
  };
}
