// What a writer checks of its own change: that the new root is the old one with exactly the operations that were asked for,
// that every condition held, and which root of the head the log contains.
//
// The answer shows the nodes of the old map that the change touches, and the same editor computes the new root from them.
// Where those are too many for an answer the two states are compared instead, which shows what the new one holds, though
// not that it was built as its keys say.
import { equalBytes, toHex } from "../core/bytes.js";
import { IncompleteProof, Pruned, VerificationFailed } from "../core/errors.js";
import { mapRoot, type BlobHash, type MapRoot } from "../core/hashes.js";
import { get, MapKind, verifyTransition } from "../core/map/index.js";
import { stagedCell, stagedKey, stateCell } from "../core/object/index.js";
import type { StateServiceApplyResponse } from "../../gen/neleus/v1/state_pb.js";
import type { Connection } from "./connection.js";
import type { Receipt } from "./records.js";
import { receivedHash, revealBatches, verifying, verifyNodes } from "./received.js";
import { diffRoots } from "./state-diff.js";
import { stateEntry } from "./state-entry.js";
import { VerifiedStateView } from "./state-view.js";
import type { CallOptions } from "./transport.js";
import { openLeaf } from "./trust/index.js";

/** What was asked of one key. */
export interface AskedChange {
  readonly key: Uint8Array;
  /** What it is to hold; undefined: it is to be deleted. */
  readonly put: { readonly hash: BlobHash; readonly sizeBytes: number } | undefined;
  readonly condition: { readonly hash: Uint8Array } | "absent" | undefined;
}

/** An Apply that was answered. */
export interface AnsweredApply {
  readonly head: string;
  /** Strictly ascending by key. */
  readonly changes: readonly AskedChange[];
  readonly expectedRoot: Uint8Array | undefined;
  readonly answer: StateServiceApplyResponse;
  readonly receipt: Receipt;
  /** Leaves that the log was known to have before the request. */
  readonly knownLeaves: number;
}

/** What the checks have shown. */
export interface CheckedApply {
  readonly beforeRoot: MapRoot;
  readonly root: MapRoot;
  /** Staged root of the head in the leaf of the receipt; undefined where the same batch removed the head. */
  readonly loggedRoot: MapRoot | undefined;
}

/**
 * Checks an answer against what was asked.
 * @throws VerificationFailed - something else was recorded, or a condition did not hold
 * @throws IncompleteProof - the answer does not show it
 */
export async function checkApplied(
  connection: Connection,
  apply: AnsweredApply,
  options: CallOptions,
): Promise<CheckedApply> {
  const { answer, expectedRoot } = apply;
  const beforeRoot = mapRoot(receivedHash(answer.beforeRoot, "the root before the change"));
  const root = mapRoot(receivedHash(answer.root, "the new root"));
  if (expectedRoot !== undefined && !equalBytes(beforeRoot, expectedRoot)) {
    throw new VerificationFailed(`the change was made to the root ${toHex(beforeRoot)}, not to the expected one`, {
      facts: { expected: toHex(expectedRoot), actual: toHex(beforeRoot) },
    });
  }
  // An honest server shows an earlier try so, once its refs were freed; they prove themselves in every other answer.
  if (answer.refs.length === 0) throw notShown(apply);
  const loggedRoot = loggedRootOf(apply);
  if (!equalBytes(root, beforeRoot) && apply.receipt.logIndex < apply.knownLeaves) {
    throw new VerificationFailed(
      `the change is said to be in leaf ${apply.receipt.logIndex}, of before it was asked for: ` +
        `the log had ${apply.knownLeaves} leaves`,
      { evidence: answer },
    );
  }
  if (answer.transition.length > 0) checkTransition(apply, { beforeRoot, root });
  else await comparedWhileKept(connection, apply, { beforeRoot, root, options });
  return { beforeRoot, root, loggedRoot };
}

/**
 * What the leaf of the receipt says of the head: its staged root there, or undefined where it is gone.
 * @throws VerificationFailed, IncompleteProof - the leaf is not in the checkpoint, or the refs do not show it
 */
export function loggedRootOf(write: {
  readonly head: string;
  readonly answer: Pick<StateServiceApplyResponse, "leaf" | "inclusion" | "refs">;
  readonly receipt: Receipt;
}): MapRoot | undefined {
  const { head, answer, receipt } = write;
  const { leaf, inclusion } = answer;
  const { refsRoot } = openLeaf(receipt.checkpoint, { index: receipt.logIndex, leaf, inclusion });
  const cell = verifyNodes(get({ kind: MapKind.refs, root: refsRoot }, stagedKey(head)), answer.refs);
  return cell === undefined ? undefined : verifying("staged roots", () => stagedCell.decode(cell)).stateRoot;
}

function checkTransition(
  { answer, changes }: AnsweredApply,
  roots: { readonly beforeRoot: MapRoot; readonly root: MapRoot },
): void {
  const map = { kind: MapKind.state, root: roots.beforeRoot };
  const edits = changes.map(({ key, put }) => ({ key, cell: put === undefined ? undefined : cellOf(put) }));
  const { root, cellsBefore } = verifyTransition(map, edits, revealBatches(answer.transition));
  for (const [index, change] of changes.entries()) {
    if (change.condition === undefined) continue;
    const cell = cellsBefore[index];
    requireCondition(change, cell === undefined ? undefined : stateEntry(change.key, cell).hash);
  }
  if (equalBytes(root, roots.root)) return;
  throw new VerificationFailed(
    `what was asked for leads from ${toHex(roots.beforeRoot)} to ${toHex(root)}, and ${toHex(roots.root)} was recorded`,
    { facts: { expected: toHex(root), actual: toHex(roots.root) }, evidence: answer },
  );
}

function cellOf(put: NonNullable<AskedChange["put"]>): Uint8Array {
  return stateCell.encode({ hash: put.hash, size: put.sizeBytes });
}

/** The write is durable, as the server says, and what would show it is gone. */
function notShown({ receipt }: AnsweredApply, cause?: unknown): IncompleteProof {
  return new IncompleteProof(
    `the change is said to be in leaf ${receipt.logIndex}, and what would show it is kept no longer`,
    {
      hint: "its answer was lost and asked for again too late: read back what it was to change",
      facts: { outcome: "applied", log_index: String(receipt.logIndex) },
    },
    { cause },
  );
}

/** @throws IncompleteProof - a state of them was replaced and freed meanwhile */
async function comparedWhileKept(...compared: Parameters<typeof compareStates>): Promise<void> {
  try {
    await compareStates(...compared);
  } catch (error) {
    throw error instanceof Pruned ? notShown(compared[1], error) : error;
  }
}

/** Nothing differs but what was asked for, and what was asked for is there. */
async function compareStates(
  connection: Connection,
  { changes }: AnsweredApply,
  how: { readonly beforeRoot: MapRoot; readonly root: MapRoot; readonly options: CallOptions },
): Promise<void> {
  const { beforeRoot, root, options } = how;
  const asked = new Map(changes.map((change) => [toHex(change.key), change]));
  for await (const { key, before, after } of diffRoots(connection, { before: beforeRoot, after: root }, options)) {
    const change = asked.get(toHex(key));
    if (change === undefined || !isAsked(change, after?.hash)) throw notAsked(key, root);
    asked.delete(toHex(key));
    requireCondition(change, before?.hash);
  }
  // Of what has not changed the comparison shows nothing: it must have been as it was asked to be.
  const view = new VerifiedStateView(connection, root);
  const unchanged = [...asked.values()].map(({ key }) => key);
  for await (const { key, entry } of view.entries(unchanged, options)) {
    const change = asked.get(toHex(key));
    if (change === undefined || !isAsked(change, entry?.hash)) throw notAsked(key, root);
    requireCondition(change, entry?.hash);
  }
}

function isAsked({ put }: AskedChange, hash: BlobHash | undefined): boolean {
  return put === undefined || hash === undefined ? put === undefined && hash === undefined : equalBytes(put.hash, hash);
}

function notAsked(key: Uint8Array, root: MapRoot): VerificationFailed {
  return new VerificationFailed(`the new root does not hold what was asked for under key ${toHex(key)}`, {
    facts: { key: toHex(key), root: toHex(root) },
  });
}

/** A condition of the change held before it. @throws VerificationFailed - and the server changed the key all the same */
function requireCondition({ key, condition }: AskedChange, hash: BlobHash | undefined): void {
  if (condition === undefined) return;
  if (condition === "absent" ? hash === undefined : hash !== undefined && equalBytes(hash, condition.hash)) return;
  throw new VerificationFailed(`key ${toHex(key)} was changed although its condition did not hold`, {
    facts: { key: toHex(key), ...(hash === undefined ? {} : { actual: toHex(hash) }) },
  });
}
