// What evidence of a refusal shows to a third person, who saw none of it: only what is signed. Two checkpoints by one key that no
// one history holds show that the holder of that key signed two histories. Everything else is the word of who kept it.
//
//   one size, two roots                                           two histories
//   two sizes, and a proof that the larger log began otherwise    two histories
//   two sizes alone                                               both genuine, and every log signs such pairs as it grows
//   anything unsigned                                             nothing: anybody could have made it
//
// Cost: a signature for each checkpoint, a few dozen hashes for each pair.
import { equalBytes, toHex } from "../../core/bytes.js";
import { NewEpoch, VerificationFailed } from "../../core/errors.js";
import { showsOtherBeginning } from "../../core/log/index.js";
import type { SignedCheckpoint } from "../records.js";
import { LogKey } from "../trust/index.js";
import { parseEvidence, type ParsedEvidence } from "./evidence-file.js";
import type { Anchors } from "./report.js";

/** What is to be thought of evidence. */
export interface EvidenceReport {
  /**
   * `fraud-shown`: the holder of the key that the caller gave has signed two histories. `not anchored`: the same of a key that only the
   * file names. `not shown`: nothing in the file shows that to somebody who did not see it happen.
   */
  readonly verdict: "fraud-shown" | "not anchored" | "not shown";
  readonly shown: readonly string[];
  readonly anchoredTo: readonly string[];
  readonly notShown: readonly string[];
}

/**
 * Checks evidence that somebody kept. Of the anchors, `verifierKey` is the key that the caller knows the log by, and `checkpoint` one
 * that the caller holds, which is held against those in the file.
 * @throws VerificationFailed - not of the form
 * @throws Unsupported - of a version that this program does not know
 * @throws InvalidArgument - a key or checkpoint of the caller's that is none
 */
export function verifyEvidence(file: string | Uint8Array, anchors: Omit<Anchors, "root"> = {}): EvidenceReport {
  const evidence = parseEvidence(file);
  const key = trustedKey(evidence, anchors.verifierKey);
  const shown: string[] = [];
  const notShown: string[] = [];
  if (key === undefined) {
    notShown.push("Anything: the file names no verifier key that could have signed it. Give the log's: --key.");
    return { verdict: "not shown", shown, anchoredTo: [], notShown };
  }
  if (anchors.verifierKey !== undefined && evidence.verifierKey !== undefined && evidence.verifierKey !== key.text) {
    notShown.push("Anything of the key that the file names: another one was given.");
  }
  const signed = signedCheckpoints(evidence, { key, own: anchors.checkpoint, notShown });
  for (const { role, checkpoint } of signed) {
    shown.push(`The holder of the key signed the checkpoint ${role}: ${described(checkpoint)}.`);
  }
  const pairs = conflicts(signed, evidence.consistency);
  shown.push(...pairs);
  const isGiven = anchors.verifierKey !== undefined;
  notShown.push(...openQuestions(evidence, { isFraud: pairs.length > 0, signed }));
  if (pairs.length === 0) return { verdict: "not shown", shown, anchoredTo: [], notShown };
  if (!isGiven) {
    notShown.push(`That ${key.text} is the key of the database: the file says so. Give the one that you know: --key.`);
    return { verdict: "not anchored", shown, anchoredTo: [], notShown };
  }
  return { verdict: "fraud-shown", shown, anchoredTo: [`The verifier key is the one given, ${key.text}.`], notShown };
}

interface Signed {
  readonly role: string;
  readonly checkpoint: SignedCheckpoint;
}

/** The key to check by. @throws InvalidArgument - the caller's is none @throws VerificationFailed - the file's is none */
function trustedKey({ verifierKey }: ParsedEvidence, given: string | undefined): LogKey | undefined {
  if (given !== undefined) return LogKey.parse(given);
  if (verifierKey === undefined) return undefined;
  try {
    return LogKey.parse(verifierKey);
  } catch (cause) {
    throw new VerificationFailed("this is no evidence: the verifier key in it is none", {}, { cause });
  }
}

/** Those that the key has signed; of the others it is said that they show nothing. */
function signedCheckpoints(
  { checkpoints }: ParsedEvidence,
  { key, own, notShown }: { readonly key: LogKey; readonly own: string | undefined; readonly notShown: string[] },
): Signed[] {
  const signed: Signed[] = [];
  const all = checkpoints.map(({ role, note }) => ({ role: roleWords(role), note }));
  if (own !== undefined) all.push({ role: "that you gave", note: own });
  for (const { role, note } of all) {
    try {
      signed.push({ role, checkpoint: key.open(note) });
    } catch (error) {
      if (error instanceof NewEpoch) {
        notShown.push(
          `Anything by the checkpoint ${role}: it is of another log of the database, with a key of its own.`,
        );
      } else if (error instanceof VerificationFailed) {
        notShown.push(`Anything by the checkpoint ${role}: the key did not sign it, so anybody could have written it.`);
      } else throw error;
    }
  }
  return signed;
}

function roleWords(role: string): string {
  if (role === "seen") return "that had been seen";
  if (role === "answered") return "that came in the answer";
  return role === "previous" ? "that the next log says it goes on from" : "of another role";
}

function described({ size, root }: SignedCheckpoint): string {
  return `${size} leaves, root ${toHex(root)}`;
}

/** Sentences for pairs that no one history holds. */
function conflicts(signed: readonly Signed[], proofs: ParsedEvidence["consistency"]): string[] {
  const checkpoints = signed.map(({ checkpoint }) => checkpoint);
  const found = new Set<string>();
  for (const older of checkpoints) {
    for (const newer of checkpoints) {
      if (older.size === newer.size && toHex(older.root) < toHex(newer.root)) {
        found.add(
          `That holder signed two different logs of ${older.size} leaves. One log has one root at each size: these are two histories.`,
        );
      } else if (older.size < newer.size && proofs.some((proof) => isOtherHistory({ older, newer, proof }))) {
        found.add(
          `The log of ${newer.size} leaves began with ${older.size} others than those that the same holder had signed: these are two histories.`,
        );
      }
    }
  }
  return [...found];
}

function isOtherHistory(pair: {
  readonly older: SignedCheckpoint;
  readonly newer: SignedCheckpoint;
  readonly proof: readonly Uint8Array[];
}): boolean {
  const { older, newer, proof } = pair;
  if (older.size === 0) return false;
  try {
    return showsOtherBeginning({
      from: older.size,
      to: newer.size,
      fromRoot: older.root,
      toRoot: newer.root,
      proof,
    });
  } catch (error) {
    // A proof of another pair, or of none.
    if (error instanceof VerificationFailed) return false;
    throw error;
  }
}

function openQuestions(
  { unsignedCount }: ParsedEvidence,
  { isFraud, signed }: { readonly isFraud: boolean; readonly signed: readonly Signed[] },
): string[] {
  const [first] = signed;
  const hasTwo = signed.some(({ checkpoint }) => first !== undefined && !isSame(checkpoint, first.checkpoint));
  return [
    ...(isFraud ? ["Whether that was a lie or an accident, as of a copy that was restored and served again."] : []),
    ...(!isFraud && hasTwo
      ? [
          "That the log lost leaves or has two histories: both checkpoints are genuine, and a log signs one of each size as it grows. " +
            "Nothing signed says which was shown last.",
        ]
      : []),
    ...(!isFraud && !hasTwo
      ? ["That anybody lied: there are no two checkpoints by the key to hold against each other."]
      : []),
    ...(unsignedCount === 0
      ? []
      : [
          `Anything by the ${unsignedCount} ${unsignedCount === 1 ? "exhibit" : "exhibits"} that nobody signed: an answer is not signed, only the checkpoint in it, ` +
            "so anybody could have made one that does not verify.",
        ]),
    "When, where and to whom it was shown: that is the word of who kept it.",
  ];
}

function isSame(a: SignedCheckpoint, b: SignedCheckpoint): boolean {
  return a.size === b.size && equalBytes(a.root, b.root);
}
