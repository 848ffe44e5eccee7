// One epoch of the log, as this process serves it: where its rows lie, and who signs it.
import { Corrupt } from "../core/errors.js";
import type { SyncReader } from "../store/contract.js";
import { CheckpointSigner } from "./checkpoint-signer.js";
import type { SignedTree } from "./checkpoint-signer.js";
import { readIdentity } from "./identity.js";
import { LogRows } from "./log-rows.js";
import type { TailPlace } from "./log-rows.js";

export interface LogEpoch {
  readonly place: TailPlace;
  /** `neleus/<database id>/<epoch>`, or with a configured host before it. */
  readonly origin: string;
  readonly verifierKey: string;
  /** Of the epoch to come, while it is announced. */
  readonly nextVerifierKey: string | undefined;
  readonly rows: LogRows;
  /** Signs durable trees; of an epoch that has ended, hands out the last note alone. */
  readonly signer: {
    prepare(tree: SignedTree): void;
    checkpoint(tree: SignedTree): string;
  };
}

/** The epoch that goes on, at a place of its tail. @throws Corrupt - the stored identity is of another */
export function liveEpoch(rows: SyncReader, place: TailPlace): LogEpoch & { readonly signer: CheckpointSigner } {
  const identity = readIdentity(rows);
  if (identity.epoch !== place.epoch || (identity.next !== undefined) !== place.isAnnouncing) {
    throw new Corrupt("the identity of the database is not of the epoch that its log is in", {
      hint: "restore the database from a backup",
      facts: { kind: "meta", row: "identity" },
    });
  }
  const signer = new CheckpointSigner(identity);
  const { origin, verifierKey, nextVerifierKey } = signer;
  return { place, origin, verifierKey, nextVerifierKey, rows: new LogRows(rows, place.start), signer };
}

export function isSamePlace(a: TailPlace, b: TailPlace): boolean {
  return a.epoch === b.epoch && a.start === b.start && a.isAnnouncing === b.isAnnouncing;
}
