// What witnesses have to say of the log of a proof in a file: the cosigned checkpoints that it holds, against the witnesses that a
// reader names (C2SP tlog-cosignature).
//
// A witness that has cosigned a log of m leaves has seen no other history up to there. The leaf that a proof hangs on is the last of
// its checkpoint: where that has more leaves, the report says that nobody has seen it but who asked for the proof.
import { InvalidArgument, IncompleteProof } from "../../core/errors.js";
import { DEFAULT_CLOCK_TOLERANCE_MS } from "../freshness.js";
import { openCosigned, Witnesses, type LogKey, type Witnessed } from "../trust/index.js";
import { shownTime, type CheckedLog } from "./checked.js";
import type { Anchors } from "./report.js";

/** Of a proof that holds cosignatures, where no witness was named. */
export const NOT_SHOWN_OF_WITNESSES =
  "That anybody else has seen that log: the proof holds cosignatures, which say so for those who name the witnesses that they trust.";

/** Witnesses to hold a proof against, and when. */
interface NamedWitnesses {
  readonly policy: Witnesses;
  readonly nowMs: number;
}

/** @throws InvalidArgument - no policy, or no verifier key beside it */
export function namedWitnesses({ witnesses, verifierKey, nowMs }: Anchors): NamedWitnesses | undefined {
  if (witnesses === undefined) return undefined;
  const policy = new Witnesses(witnesses);
  if (verifierKey !== undefined) return { policy, nowMs: nowMs ?? Date.now() };
  throw new InvalidArgument("witnesses: they say that a log only grew, and not whose it is", {
    field: "witnesses",
    hint: "give the log's verifier key as well",
  });
}

/** The error for a proof that no witness can say anything of. */
export function belowWitnesses(): IncompleteProof {
  return new IncompleteProof("the proof ends below the log, which is what witnesses cosign", {
    hint: "ask for a proof of a head or tag, with what witnesses have cosigned",
  });
}

/**
 * Holds the log of a proof against its key, and against the witnesses that are named.
 * @throws VerificationFailed - a checkpoint is not signed by the key, or a cosignature is invalid
 * @throws NewEpoch - a checkpoint is of another log of the database
 * @throws IncompleteProof - too few of the witnesses have cosigned, or too long ago
 */
export function heldByKey(
  { proof, cosigned }: CheckedLog,
  key: LogKey,
  named: NamedWitnesses | undefined,
): {
  readonly witnesses?: readonly Witnessed[];
  readonly anchoredTo: readonly string[];
  readonly notShown: readonly string[];
} {
  const checkpoint = key.open(proof.checkpoint);
  if (named === undefined) {
    openCosigned(cosigned, checkpoint, (note) => key.open(note));
    return { anchoredTo: [], notShown: [] };
  }
  const { policy, nowMs } = named;
  const clock = { nowMs, clockToleranceMs: DEFAULT_CLOCK_TOLERANCE_MS };
  const witnesses = policy.read(cosigned, { key, checkpoint, ...clock });
  policy.requireEnough(witnesses, nowMs);
  const recent = policy.recent(witnesses, nowMs);
  return {
    witnesses,
    anchoredTo: recent.map(
      ({ witness, size, timeMs }) =>
        `The witness ${witness} has cosigned ${size} leaves of that log, ${shownTime(timeMs)}.`,
    ),
    notShown: unseenLeaves(recent, { required: policy.required, size: checkpoint.size }),
  };
}

/** Where too few of them have seen the newest leaf. */
function unseenLeaves(
  recent: readonly Witnessed[],
  { required, size }: { readonly required: number; readonly size: number },
): readonly string[] {
  const sizes = recent.map((seen) => seen.size).sort((a, b) => b - a);
  const seenByEnough = sizes[required - 1] ?? 0;
  if (seenByEnough >= size) return [];
  return [
    `That so many witnesses have seen more than the first ${seenByEnough} leaves: the proof hangs on the last of ${size}.`,
  ];
}
